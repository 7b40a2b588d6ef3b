"""`footlight up`: everything one instance is made of, started in order, kept running, and stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.instance import (
    Layout,
    SetupError,
    data_lock,
    generated_secret,
    port_is_free,
    write_private,
)
from cli.servers import Servers, create_database, prepare_cluster
from cli.supervisor import CommandFailed, StartFailed, Supervisor
from cli.toolchain import MissingProgram, Toolchain, default_data

SOURCE = Path(__file__).resolve().parent.parent
FREE_DISK_BYTES = 1_500_000_000


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    data: Path
    host: str = "127.0.0.1"
    http_port: int = 8080
    rtmp_port: int = 1935
    irc_port: int | None = None
    servers_only: bool = False


def say(title: str, event: str) -> None:
    """One line on the terminal. A terminal that has gone away is no reason to stop."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%H:%M:%S')}  {title:<12} {event}", flush=True)


def main(arguments: argparse.Namespace) -> int:
    """Run `up` in the foreground; the process's exit status."""
    options = Options(
        data=(arguments.data or default_data(os.environ)).absolute(),
        host=arguments.host,
        http_port=arguments.http_port,
        rtmp_port=arguments.rtmp_port,
        irc_port=arguments.irc_port,
        servers_only=arguments.servers_only,
    )
    layout = Layout.of(options.data)
    try:
        layout.prepare()
        with data_lock(layout.data):
            return asyncio.run(_foreground(options, layout))
    except (SetupError, MissingProgram) as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1


async def _foreground(options: Options, layout: Layout) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    asked = asyncio.Event()

    def stop() -> None:
        # Later signals change nothing: stopping has deadlines of its own.
        if not asked.is_set():
            asked.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    began = time.monotonic()
    try:
        await Instance(options, layout, Toolchain.from_environment()).run()
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
        task.uncancel()
        return 0
    except (StartFailed, CommandFailed) as failure:
        print(f"\nfootlight: {failure}. Its last lines:", file=sys.stderr)
        print("".join(f"    {line}\n" for line in failure.tail[-12:]), end="", file=sys.stderr)
        print(f"The whole log: {failure.log}", file=sys.stderr)
        return 1
    finally:
        say("Footlight", f"stopped after {time.monotonic() - began:.0f} s")
    return 1


class Instance:
    """One run of `up` on one data folder, which the caller has locked."""

    def __init__(self, options: Options, layout: Layout, toolchain: Toolchain) -> None:
        self.options = options
        self.layout = layout
        self.toolchain = toolchain
        self.taken = {options.http_port, options.rtmp_port}
        self.servers = Servers.choose(layout, self.taken)

    async def run(self) -> None:
        """Start everything and keep it running until cancelled."""
        self.layout.instance_file.unlink(missing_ok=True)
        self._check()
        self.layout.prepare_media()
        try:
            async with Supervisor(self.layout.logs, say, self._write_instance_file) as self.supervisor:
                try:
                    await self._start()
                    await self.supervisor.failed.wait()
                finally:
                    self._ready = False
                    self.layout.instance_file.unlink(missing_ok=True)
                    say("Footlight", "stopping")
        finally:
            shutil.rmtree(self.layout.media, ignore_errors=True)

    _ready = False

    def _check(self) -> None:
        free = shutil.disk_usage(self.layout.data).free
        if free < FREE_DISK_BYTES:
            raise SetupError(
                f"{self.layout.data} has {free / 1e9:.1f} GB free; Footlight needs {FREE_DISK_BYTES / 1e9:.1f} GB.\n"
                "Free some space, or name a folder on another disk with --data."
            )
        if self.options.servers_only:
            return
        for what, option, port in (
            ("The web port", "--http-port", self.options.http_port),
            ("The RTMP port", "--rtmp-port", self.options.rtmp_port),
        ):
            if not port_is_free(self.options.host, port):
                raise SetupError(
                    f"{what} {port} is in use on {self.options.host} by another program.\n"
                    f"Stop that program, or choose another port: ./footlight up {option} {port + 1}"
                )

    async def _start(self) -> None:
        await prepare_cluster(self.layout, self.toolchain, self.supervisor)
        await self.supervisor.start(self.servers.specs(self.toolchain))
        await create_database(self.layout.run)
        if (SOURCE / "core/db/migrations/env.py").exists():
            await self._command("Preparing the database", "migrate")
        self._ready = True
        self._write_instance_file()

    async def _command(self, title: str, *arguments: str) -> None:
        """Run a command of this CLI with the instance's settings, to its end."""
        await self.supervisor.run(
            title,
            [sys.executable, "-m", "cli", *arguments],
            log=arguments[0],
            cwd=SOURCE,
            environment=self.environment(),
        )

    def environment(self) -> Mapping[str, str]:
        """The settings of this instance's services (core.settings), as environment variables."""
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
            "s3_bucket": "footlight",
            "s3_region": "us-east-1",
            "secret_key_file": layout.secrets / "secret_key",
            "api_listen": f"unix:{layout.run / 'api.sock'}",
            "ingest_listen": f"unix:{layout.run / 'ingest.sock'}",
            "edge_internal_urls": json.dumps([f"unix:{layout.run / 'edge-internal.sock'}"]),
            "ffmpeg_path": self.toolchain.ffmpeg(),
        }
        # What the user set in the environment wins over our choices.
        ours = {f"FOOTLIGHT_{name.upper()}": str(value) for name, value in settings.items()}
        return {name: value for name, value in ours.items() if name not in os.environ}

    @property
    def public_url(self) -> str:
        return f"http://{self._visible_host()}:{self.options.http_port}"

    @property
    def rtmp_url(self) -> str:
        return f"rtmp://{self._visible_host()}:{self.options.rtmp_port}/live"

    def _visible_host(self) -> str:
        host = self.options.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 (a comparison)
            return "127.0.0.1"
        return f"[{host}]" if ":" in host else host

    def _write_instance_file(self) -> None:
        if not self._ready:
            return
        services: dict[str, Any] = {
            process.spec.name: {"url": "", "pid": process.pid} for process in self.supervisor.processes
        }
        content = {
            "pid": os.getpid(),
            "http": self.public_url,
            "rtmp": self.rtmp_url,
            "services": services,
            "irc_port": None,
            "database": self.servers.database_url,
            "redis": self.servers.redis_url,
            "nats": self.servers.nats_url,
            "s3": {
                "endpoint": self.servers.s3_endpoint,
                "access_key": self.servers.s3_access_key,
                "secret_key": self.servers.s3_secret_key,
                "bucket": "footlight",
            },
        }
        if self.options.servers_only:
            content["environment"] = dict(self.environment())
        write_private(self.layout.instance_file, json.dumps(content, indent=2) + "\n")
