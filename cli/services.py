"""Footlight's own processes and the two nginx as process specs, and the settings that they get."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from cli import nginx, scraping
from cli.certificates import ensure_some
from cli.instance import Layout, generated_secret
from cli.probe import accepts, answers
from cli.process import ProcessSpec
from cli.serve_nginx import edge_values, ingest_values, tls_values
from cli.servers import BUCKET, Servers
from cli.source import SOURCE
from cli.toolchain import Toolchain
from core.settings import PREFIX, Settings

ADMIN = "admin"
FREE_DISK_BYTES = 1_500_000_000
# Where processes of an instance work, below its data folder.
PROCESS_FOLDERS = (
    "rtmp", "edge", "work/api", "work/ingest", "work/chat", "work/recorder",
    "work/recorder.worker", "work/certificate", "tls-nginx", "postgres", "redis", "nats", "s3",
)  # fmt: skip
MOST_CHAT_PROCESSES = 64
# Of the 15 s in which everything has to be over, what services may use to finish.
DRAIN_S = 5.0


ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 (a comparison)


@dataclass(frozen=True)
class Options:
    """What the command line of `up` asks for."""

    data: Path
    host: str = "127.0.0.1"
    http_port: int = 8080
    rtmp_port: int = 1935
    irc_port: int | None = None
    servers_only: bool = False


@dataclass(frozen=True)
class Services:
    """What runs over the servers. `rtmp_http_port` is the loopback port of nginx (ingest)'s own
    pages.
    """

    options: Options
    layout: Layout
    servers: Servers
    toolchain: Toolchain
    rtmp_http_port: int
    # The port of IRC over TCP; 0: none.
    irc_port: int = 0
    # On loopback, from the nginx that speaks RTMPS.
    rtmp_proxied_port: int = 1934

    @property
    def public_url(self) -> str:
        return f"http://{self._reachable_host}:{self.options.http_port}"

    @property
    def rtmp_url(self) -> str:
        return f"rtmp://{self._reachable_host}:{self.options.rtmp_port}/live"

    @property
    def _reachable_host(self) -> str:
        """An address at which a server that listens on `--host` is found, by others too where it may be."""
        host = self.options.host
        if host in ANY_ADDRESS:
            host = own_address() or "127.0.0.1"
        return f"[{host}]" if ":" in host else host

    def _socket(self, name: str) -> Path:
        return self.layout.run / f"{name}.sock"

    def environment(self) -> dict[str, str]:
        """The settings of this instance (core.settings) as environment variables.

        What the user has set in the environment stays: `FOOTLIGHT_LADDER=off ./footlight up`.
        """
        layout, servers = self.layout, self.servers
        generated_secret(layout.secrets, "secret_key")
        settings = {
            "data_dir": layout.data,
            "run_dir": layout.run,
            "media_dir": layout.media,
            "public_url": self.public_url,
            "rtmp_url": self.rtmp_url,
            "database_url": servers.database_url,
            "redis_url": servers.redis_url,
            "nats_url": servers.nats_url,
            "s3_endpoint": servers.s3_endpoint,
            "s3_access_key": servers.s3_access_key,
            "s3_secret_key": servers.s3_secret_key,
            "s3_bucket": BUCKET,
            "secret_key_file": layout.secrets / "secret_key",
            "api_listen": f"unix:{self._socket('api')}",
            "ingest_listen": f"unix:{self._socket('ingest')}",
            "recorder_listen": f"unix:{self._socket('recorder')}",
            "worker_listen": f"unix:{self._socket('worker')}",
            # On one machine a process less.
            "recorder_works": "true",
            "chat_listen": f"unix:{self._socket('chat')}",
            "chat_socket_listen": f"unix:{self._socket('chat-ws')}",
            "irc_listen": self._listen(self.irc_port) if self.irc_port else "",
            "irc_proxied_listen": f"unix:{self._socket('irc')}",
            "rtmp_proxied_listen": f"127.0.0.1:{self.rtmp_proxied_port}",
            "edge_internal_urls": json.dumps([f"unix:{self._socket('edge-internal')}"]),
            "ingest_nginx_url": f"http://127.0.0.1:{self.rtmp_http_port}",
            "ingest_pull_url": f"rtmp://127.0.0.1:{self.options.rtmp_port}/live",
            "ffmpeg_path": self.toolchain.ffmpeg(),
            "drain_s": DRAIN_S,
        }
        options = {
            "FOOTLIGHT_EDGE_LISTEN": self._listen(self.options.http_port),
            "FOOTLIGHT_RTMP_LISTEN": self._listen(self.options.rtmp_port),
            # One address cannot be that of several processes.
            "FOOTLIGHT_METRICS_LISTEN": "",
        }
        ours = {f"{PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
        if "FOOTLIGHT_SECRET_KEY" in os.environ:
            del ours["FOOTLIGHT_SECRET_KEY_FILE"]
        # What the command line says has been checked and is printed: the environment does not change it.
        return {name: os.environ.get(name, value) for name, value in ours.items()} | options

    def settings(self) -> Settings:
        """What the services will read, from us and from the user. Raises ValueError, pydantic's."""
        given = {
            name.removeprefix(PREFIX).lower(): value for name, value in self.environment().items()
        }
        secret = given.pop("secret_key_file", None)
        if secret is not None:
            given["secret_key"] = Path(secret).read_text().strip()
        return Settings.model_validate(given)

    def specs(self) -> list[ProcessSpec]:
        """The Python services, started side by side."""
        return [
            self._service("api", "API"),
            self._service("ingest", "Ingest"),
            self._service("recorder", "Recorder"),
            *self._worker(),
            *(self._chat(number) for number in range(1, self.chat_processes + 1)),
        ]

    def _worker(self) -> list[ProcessSpec]:
        """A process for jobs, where `recorder` was told not to do them."""
        if self.settings().recorder_works:
            return []
        return [self._service("recorder.worker", "Worker", name="worker")]

    @property
    def chat_processes(self) -> int:
        """How many chat processes run (`FOOTLIGHT_CHAT_PROCESSES`)."""
        wanted = os.environ.get("FOOTLIGHT_CHAT_PROCESSES", "")
        return min(max(1, int(wanted)), MOST_CHAT_PROCESSES) if wanted.isdigit() else 1

    def _chat(self, number: int) -> ProcessSpec:
        if number == 1:
            return self._service("chat", "Chat")
        name = f"chat-{number}"
        # Of one instance, each with sockets of its own; the edge balances over them.
        own = {
            "FOOTLIGHT_CHAT_LISTEN": f"unix:{self._socket(name)}",
            "FOOTLIGHT_CHAT_SOCKET_LISTEN": f"unix:{self._socket(f'chat-ws-{number}')}",
            "FOOTLIGHT_IRC_PROXIED_LISTEN": f"unix:{self._socket(f'irc-{number}')}",
        }
        return self._service("chat", f"Chat {number}", name=name, own=own)

    def _service(
        self, module: str, title: str, name: str = "", own: dict[str, str] | None = None
    ) -> ProcessSpec:
        name = name or module
        url = f"unix:{self._socket(name)}"
        folder = self.layout.data / "work" / module
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        return ProcessSpec(
            name=name,
            title=title,
            url=url,
            argv=(),
            module=module,
            cwd=folder,
            environment={
                **self.environment(),
                "PYTHONPATH": str(SOURCE),
                "FOOTLIGHT_METRICS_LISTEN": self._metrics_address(name),
                **(own or {}),
            },
            ready=lambda: answers(url, "/readyz"),
            # A service that waits for a server is well; only one that does not answer at all is
            # not.
            alive=lambda: answers(url, "/healthz"),
            stop_timeout_s=DRAIN_S + 1.5,
        )

    def _metrics_address(self, name: str) -> str:
        return scraping.address(self.settings().metrics_port, name)

    def write_targets(self) -> None:
        """Say where Prometheus finds every process, if it is to."""
        file = self.layout.data / scraping.TARGETS_FILE
        first = self.settings().metrics_port
        if not first:
            file.unlink(missing_ok=True)
            return
        names = ["edge", *(spec.name for spec in self.specs())]
        # Not private: a Prometheus runs as somebody else.
        file.write_text(json.dumps(scraping.targets(first, names), indent=2) + "\n")

    def edge(self) -> ProcessSpec:
        """nginx (edge): the public HTTP port."""
        folder = self.layout.data / "edge"
        values = replace(
            edge_values(self.settings(), self.toolchain),
            metrics_listen=self._metrics_address("edge"),
        )
        internal = values.internal_socket

        async def prepare() -> None:
            # A killed nginx leaves its socket, and the next one would not bind to it.
            internal.unlink(missing_ok=True)
            nginx.prepare(folder, nginx.render_edge(values))

        program = self.toolchain.program("nginx")
        return ProcessSpec(
            name="edge",
            title="Web",
            url=self.public_url,
            argv=tuple(nginx.command(program.path, folder)),
            cwd=_made(folder),
            environment=program.environment,
            ready=lambda: answers(f"unix:{internal}", "/healthz"),
            before_start=prepare,
            # TERM closes at once; held playlists and downloads get a moment to finish first.
            stop_timeout_s=3,
        )

    def rtmp(self) -> ProcessSpec:
        """nginx (ingest): the RTMP port."""
        folder = self.layout.data / "rtmp"
        status = f"http://127.0.0.1:{self.rtmp_http_port}"

        async def prepare() -> None:
            values = ingest_values(self.settings(), self.toolchain)
            nginx.prepare(folder, nginx.render_ingest(values))

        program = self.toolchain.program("nginx")
        return ProcessSpec(
            name="rtmp",
            title="RTMP",
            url=self.rtmp_url,
            argv=tuple(nginx.command(program.path, folder)),
            cwd=_made(folder),
            environment=program.environment,
            ready=lambda: answers(status, "/stat"),
            before_start=prepare,
            stop_timeout_s=2,
        )

    def certificate(self) -> list[ProcessSpec]:
        """What has the certificate made and renewed, where an authority does that."""
        settings = self.settings()
        if not settings.acme_directory:
            return []
        ensure_some(settings)
        return [
            ProcessSpec(
                name="certificate",
                title="Certificate",
                argv=(sys.executable, "-P", "-m", "cli", "certificate"),
                cwd=_made(self.layout.data / "work/certificate"),
                environment={**self.environment(), "PYTHONPATH": str(SOURCE)},
            )
        ]

    def tls(self) -> list[ProcessSpec]:
        """nginx (TLS): RTMPS and IRC over TLS, where the settings ask for either."""
        values = tls_values(self.settings(), self.toolchain)
        if values is None:
            return []
        folder = self.layout.data / "tls-nginx"

        async def prepare() -> None:
            nginx.prepare(folder, nginx.render_tls(values))

        program = self.toolchain.program("nginx")
        address = values.rtmps_listen or values.irc_listen
        return [
            ProcessSpec(
                name="tls",
                title="TLS",
                url=f"tls://{address}",
                argv=tuple(nginx.command(program.path, folder)),
                cwd=_made(folder),
                environment=program.environment,
                ready=lambda: accepts(address),
                before_start=prepare,
                stop_timeout_s=2,
            )
        ]

    def _listen(self, port: int) -> str:
        host = self.options.host
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def own_address() -> str | None:
    """This machine's address towards the network, or None without one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # An address of the documentation's range (RFC 5737): only the route is looked up.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return None


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    return folder
