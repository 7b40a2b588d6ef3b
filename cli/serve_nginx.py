"""`footlight nginx`: one of the three nginx in the foreground, configured from the settings.

`up` renders the same values for its own (cli/services.py); this is for containers and systemd, which
supervise the process themselves.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import botocore

from cli import nginx, renewal
from cli.instance import SetupError
from cli.toolchain import MissingProgram, Toolchain
from core.derived import Purpose, derive
from core.settings import PREFIX, Settings


def main(arguments: argparse.Namespace) -> int:
    """Become nginx: signals sent to this process reach it. Returns only when that cannot be done."""
    toolchain = Toolchain.from_environment()
    try:
        program = toolchain.program("nginx")
        folder = PREPARE[arguments.which](toolchain)
    except (SetupError, MissingProgram, ValueError) as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1
    if arguments.which != "ingest":
        renewal.beside(os.getpid(), _settings().certificate)
    argv = nginx.command(program.path, folder)
    os.execve(argv[0], argv, environment_of(os.environ, program.environment))  # noqa: S606


def environment_of(ours: Mapping[str, str], needed: Mapping[str, str]) -> dict[str, str]:
    """The environment of nginx: no setting, and so no secret; what it needs is in its configuration."""
    kept = {name: value for name, value in ours.items() if not name.startswith(PREFIX)}
    return {**kept, **needed}


def prepare_edge(toolchain: Toolchain) -> Path:
    """Write the edge's configuration: the folder that it runs in. Raises ValueError, SetupError or
    MissingProgram.
    """
    settings = Settings.from_environment()
    values = edge_values(settings, toolchain)
    folder = settings.data_dir / "edge"
    # A killed nginx leaves its socket, and the next one would not bind to it.
    values.internal_socket.unlink(missing_ok=True)
    nginx.prepare(folder, nginx.render_edge(values))
    return folder


def prepare_ingest(toolchain: Toolchain) -> Path:
    """As `prepare_edge`, for nginx (ingest)."""
    settings = _settings()
    folder = settings.data_dir / "rtmp"
    nginx.prepare(folder, nginx.render_ingest(ingest_values(settings, toolchain)))
    return folder


def prepare_tls(toolchain: Toolchain) -> Path:
    """As `prepare_edge`, for nginx (TLS)."""
    settings = _settings()
    values = tls_values(settings, toolchain)
    if values is None:
        raise SetupError("Neither FOOTLIGHT_RTMPS_LISTEN nor FOOTLIGHT_IRC_TLS_LISTEN is set.")
    folder = settings.data_dir / "tls-nginx"
    nginx.prepare(folder, nginx.render_tls(values))
    return folder


def _settings() -> Settings:
    """For what needs no key of ours, and so need not be given the secret that settings cannot be without."""
    return Settings.model_validate({"secret_key": secrets.token_hex(32)})


PREPARE = {"edge": prepare_edge, "ingest": prepare_ingest, "tls": prepare_tls}


def edge_values(settings: Settings, toolchain: Toolchain) -> nginx.EdgeNginx:
    """What nginx (edge) needs, of the settings. Raises SetupError for services that listen on TCP."""
    web_root = settings.web_root or toolchain.web_root()
    return nginx.EdgeNginx(
        modules_dir=toolchain.nginx_modules()[0].parent,
        lua_package_path=toolchain.lua_package_path(),
        listen=settings.edge_listen,
        internal_socket=_own_socket(settings),
        api_socket=_socket("api_listen", settings.api_listen),
        recorder_socket=_socket("recorder_listen", settings.recorder_listen),
        chat_sockets=_chat_sockets("chat_socket_listen", settings),
        chat_http_sockets=_chat_sockets("chat_listen", settings),
        media_dir=settings.media_dir,
        web_root=web_root or settings.data_dir / "edge",
        playback_key=derive(settings, Purpose.PLAYBACK_IDS),
        media_token_key=derive(settings, Purpose.MEDIA_TOKENS),
        trusted_proxies=tuple(settings.trusted_proxies),
        storage_public_url=settings.storage_public_url,
        storage_ca_file=_storage_authorities(),
        video_cache_bytes=settings.video_cache_bytes,
        playlists_bytes=settings.edge_playlists_bytes,
        metrics_listen=settings.metrics_listen,
        tls_listen=settings.https_listen,
        certificate=nginx.Certificate(*settings.certificate),
        public_url=settings.public_url,
        hsts_s=settings.hsts_s if settings.secure else 0,
        acme_dir=settings.acme_challenges,
        rate_limit_factor=settings.rate_limit_factor,
    )


def tls_values(settings: Settings, toolchain: Toolchain) -> nginx.TlsNginx | None:
    """What nginx (TLS) needs, of the settings; None where nothing is to speak TLS but the edge."""
    if not (settings.rtmps_listen or settings.irc_tls_listen):
        return None
    return nginx.TlsNginx(
        modules_dir=toolchain.nginx_modules()[0].parent,
        certificate=nginx.Certificate(*settings.certificate),
        rtmps_listen=settings.rtmps_listen,
        rtmp_proxied=settings.rtmp_proxied_listen,
        irc_listen=settings.irc_tls_listen,
        irc_sockets=_chat_sockets("irc_proxied_listen", settings),
    )


def ingest_values(settings: Settings, toolchain: Toolchain) -> nginx.IngestNginx:
    """What nginx (ingest) needs, of the settings. Its client ids begin anew with every start."""
    return nginx.IngestNginx(
        modules_dir=toolchain.nginx_modules()[0].parent,
        rtmp_listen=settings.rtmp_listen,
        http_port=urlsplit(settings.ingest_nginx_url).port or 80,
        ingest_socket=_socket("ingest_listen", settings.ingest_listen),
        proxied_listen=settings.rtmp_proxied_listen if settings.rtmps_listen else "",
        boot_id=secrets.token_hex(8),
    )


def numbered(path: Path, number: int) -> Path:
    """The socket of the `number`-th of several processes: `chat.sock`, `chat-2.sock`, …"""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _chat_sockets(name: str, settings: Settings) -> tuple[Path, ...]:
    first = _socket(name, getattr(settings, name))
    return tuple(numbered(first, number) for number in range(1, settings.chat_processes + 1))


def _own_socket(settings: Settings) -> Path:
    """Of the edges that `ingest` feeds, the one on this machine."""
    for address in settings.edge_internal_urls:
        if address.startswith("unix:"):
            return Path(address.removeprefix("unix:"))
    raise SetupError("FOOTLIGHT_EDGE_INTERNAL_URLS names no unix socket for this machine's edge.")


def _socket(name: str, address: str) -> Path:
    if not address.startswith("unix:"):
        raise SetupError(
            f"{PREFIX}{name.upper()} is {address!r}: nginx reaches it over a unix socket, as `unix:/path`."
        )
    return Path(address.removeprefix("unix:"))


def _storage_authorities() -> Path:
    """Whom boto3 believes who an object storage is, the edge believes as well."""
    own = os.environ.get("AWS_CA_BUNDLE")
    return Path(own) if own else Path(botocore.__file__).with_name("cacert.pem")
