"""Configuration of the two nginx instances: values in, text out, and the folder an instance runs in.

Both run unprivileged, in the foreground, with their folder as prefix::

    prepare(folder, render_edge(edge))
    subprocess.Popen(command(nginx, folder))        # SIGQUIT or SIGTERM ends it, SIGHUP reloads the edge
"""

import os
import re
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent.parent / "nginx-rtmp"
LUA = TEMPLATES / "lua"

_PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)\}")
# Characters that end or change an nginx string, and ":" which ends the path of a unix socket.
_UNSAFE = re.compile(r"[\"'$;{}\\:\x00-\x1f]")
_LISTEN = re.compile(r"(?:[0-9.]+|\[[0-9a-fA-F:]+\]|\*):[0-9]{1,5}")
_NETWORK = re.compile(r"[0-9a-fA-F.:]+(?:/[0-9]{1,3})?")
# An origin and perhaps a path, of characters that neither Lua nor nginx nor a policy gives a meaning.
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")
_LUA_PATH = re.compile(r"[^\"'$\\{}\x00-\x1f]+")
_TEMPORARY = ("body", "proxy", "fastcgi", "uwsgi", "scgi")
_OWN_FILES = 200
_MAX_CONNECTIONS = 16384


def open_files() -> int:
    """How many files a process started from here may open at most."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def connections(files: int) -> int:
    """Connections one worker may hold with ``files`` open files: some are kept for logs, modules and media."""
    return max(256, min(_MAX_CONNECTIONS, (files - _OWN_FILES) * 4 // 5))


@dataclass(frozen=True)
class IngestNginx:
    """Values of ``ingest.conf.template``.

    ``boot_id`` must differ each time it is rendered: with the worker's pid it names the life that RTMP
    client ids belong to. ``user`` is for tests that start nginx as root.
    """

    modules_dir: Path
    rtmp_listen: str
    http_port: int
    ingest_socket: Path
    boot_id: str
    drop_idle_publisher_s: int = 10
    max_connections: int = 2000
    user: str | None = None


@dataclass(frozen=True)
class EdgeNginx:
    """Values of ``edge.conf.template``.

    ``lua_package_path`` says where lua-resty-core is (``…/?.lua;;``). ``playback_key`` signs playback
    ids; keep it, and viewers are counted across a restart. ``media_token_key`` checks the tokens of
    private videos. ``access_log`` None writes none.

    Rates are requests per second: ``playback_rate`` for one playback's playlists (a player asks for
    one per part and rendition that it follows), ``anonymous_rate`` for playlists asked for from one
    address without an id of ours, ``address_rate`` for everything under /live/ from one address,
    behind which there may be thousands of viewers, ``address_opening_rate`` for new playbacks from one
    address. ``playback_held`` is how many requests of one playback are held at once.
    ``address_connections`` None is half of all there are, so that no address takes the whole edge.

    ``storage_public_url`` is where viewers are sent for objects of videos that everybody may watch,
    "" for nowhere. ``storage_ca_file`` holds the authorities that an object storage over https is
    checked against, ``storage_patience_s`` is how long it may say nothing. ``metrics_listen`` is where
    a Prometheus in another container finds the metrics of the internal socket, "" for nowhere.
    """

    modules_dir: Path
    lua_package_path: str
    listen: str
    internal_socket: Path
    api_socket: Path
    recorder_socket: Path
    media_dir: Path
    chat_sockets: tuple[Path, ...]
    chat_http_sockets: tuple[Path, ...]
    web_root: Path
    playback_key: bytes
    media_token_key: bytes
    lua_dir: Path = LUA
    workers: int = field(default_factory=lambda: max(2, os.cpu_count() or 1))
    access_log: Path | None = None
    error_level: str = "warn"
    trusted_proxies: tuple[str, ...] = ()
    api_body_limit: int = 1 << 20
    playback_rate: int = 40
    playback_burst: int = 80
    playback_held: int = 8
    anonymous_rate: int = 1_000
    address_rate: int = 30_000
    address_opening_rate: int = 200
    address_opening_burst: int = 5_000
    address_connections: int | None = None
    storage_public_url: str = ""
    storage_ca_file: Path | None = None
    storage_patience_s: int = 10
    video_cache_bytes: int = 2 << 30
    metrics_listen: str = ""
    playlists_memory: str = "64m"
    viewers_memory: str = "32m"
    user: str | None = None


def render_ingest(values: IngestNginx) -> str:
    """The configuration of nginx (ingest). Raises ValueError for a value that cannot stand in it."""
    files = open_files()
    return _fill(
        "ingest.conf.template",
        {
            "MODULES_DIR": _path(values.modules_dir),
            "RTMP_LISTEN": "\n        ".join(_rtmp_listen(values.rtmp_listen)),
            "HTTP_PORT": str(int(values.http_port)),
            "INGEST_SOCKET": _path(values.ingest_socket),
            "BOOT_ID": _match(re.compile(r"[A-Za-z0-9_.-]{1,64}"), values.boot_id),
            "DROP_IDLE_PUBLISHER": f"{values.drop_idle_publisher_s}s",
            "MAX_CONNECTIONS": str(values.max_connections),
            "OTHER_REDIRECTS": " ".join(str(code) for code in range(300, 400) if code != 302),
            "OPEN_FILES": str(files),
            "WORKER_CONNECTIONS": str(connections(files)),
            "USER": _user(values.user),
        },
    )


def render_edge(values: EdgeNginx) -> str:
    """The configuration of nginx (edge). Raises ValueError for a value that cannot stand in it."""
    if len(values.playback_key) < 16:
        raise ValueError("playback_key is shorter than 16 bytes")
    if len(values.media_token_key) < 16:
        raise ValueError("media_token_key is shorter than 16 bytes")
    public_url = _match(_URL, values.storage_public_url) if values.storage_public_url else ""
    files = open_files()
    per_worker = connections(files)
    address_connections = values.address_connections or per_worker * values.workers // 2
    networks = [_match(_NETWORK, network) for network in values.trusted_proxies]
    realip = [f"    set_real_ip_from {network};" for network in networks]
    if realip:
        realip += ["    real_ip_header X-Forwarded-For;", "    real_ip_recursive on;"]
    return _fill(
        "edge.conf.template",
        {
            "MODULES_DIR": _path(values.modules_dir),
            "LUA_PACKAGE_PATH": _match(_LUA_PATH, values.lua_package_path),
            "LUA_DIR": _path(values.lua_dir),
            "LISTEN": _match(_LISTEN, values.listen),
            "INTERNAL_SOCKET": _path(values.internal_socket),
            "API_SOCKET": _path(values.api_socket),
            "RECORDER_SOCKET": _path(values.recorder_socket),
            "CHAT_SERVERS": _servers(values.chat_sockets),
            "CHAT_HTTP_SERVERS": _servers(values.chat_http_sockets),
            "MEDIA_DIR": _path(values.media_dir),
            "WEB_ROOT": _path(values.web_root),
            "PLAYBACK_KEY": values.playback_key.hex(),
            "MEDIA_TOKEN_KEY": values.media_token_key.hex(),
            "STORAGE_PUBLIC_URL": public_url.rstrip("/"),
            "STORAGE_ORIGIN": f" {_origin(public_url)}" if public_url else "",
            "STORAGE_TLS": _storage_tls(values.storage_ca_file),
            "STORAGE_PATIENCE": f"{values.storage_patience_s}s",
            "VIDEO_CACHE_BYTES": str(values.video_cache_bytes),
            "METRICS_SERVER": _metrics_server(values.metrics_listen),
            "WORKERS": str(values.workers),
            "ACCESS_LOG": f'"{_path(values.access_log)}" footlight' if values.access_log else "off",
            "ERROR_LEVEL": _match(re.compile("[a-z]+"), values.error_level),
            "TRUSTED_GEO": "\n".join(f"        {network} 1;" for network in networks),
            "TRUSTED_REALIP": "\n".join(realip),
            "API_BODY_LIMIT": str(values.api_body_limit),
            "PLAYBACK_RATE": str(values.playback_rate),
            "PLAYBACK_BURST": str(values.playback_burst),
            "PLAYBACK_HELD": str(values.playback_held),
            "ANONYMOUS_RATE": str(values.anonymous_rate),
            "ADDRESS_RATE": str(values.address_rate),
            "ADDRESS_OPENING_RATE": str(values.address_opening_rate),
            "ADDRESS_OPENING_BURST": str(values.address_opening_burst),
            "ADDRESS_CONNECTIONS": str(address_connections),
            "PLAYLISTS_MEMORY": values.playlists_memory,
            "VIEWERS_MEMORY": values.viewers_memory,
            "OPEN_FILES": str(files),
            "WORKER_CONNECTIONS": str(per_worker),
            "USER": _user(values.user),
        },
    )


def prepare(folder: Path, configuration: str) -> None:
    """Make ``folder`` ready to be an instance's prefix. The configuration holds a key: its owner alone
    may read it.
    """
    for name in _TEMPORARY:
        (folder / "temp" / name).mkdir(parents=True, exist_ok=True)
    path = folder / "nginx.conf"
    path.touch(mode=0o600)
    path.write_text(configuration)


def command(nginx: Path, folder: Path) -> list[str]:
    """The argv of an instance in ``folder``; it stays in the foreground and logs to stderr."""
    return [str(nginx), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr"]


def _rtmp_listen(public: str) -> list[str]:
    """The listeners for ``public``: workers pull over 127.0.0.1, whatever address streamers use."""
    host, _, port = _match(_LISTEN, public).rpartition(":")
    addresses = [public]
    if host not in ("127.0.0.1", "0.0.0.0", "*"):  # noqa: S104
        addresses.append(f"127.0.0.1:{port}")
    return [f"listen {address} so_keepalive=15s:5s:3;" for address in addresses]


def _metrics_server(listen: str) -> str:
    """What the internal socket says to whoever may only look."""
    if not listen:
        return ""
    asks = ("metrics", "metrics"), ("healthz", "health"), ("readyz", "health")
    locations = [
        f'        location = /{path} {{ content_by_lua_block {{ require("internal").{name}() }} }}'
        for path, name in asks
    ]
    return "\n".join(
        (
            "",
            "    server {",
            f"        listen {_match(_LISTEN, listen)};",
            "        server_name edge-metrics;",
            "        access_log off;",
            *locations,
            '        location / { content_by_lua_block { require("internal").unknown() } }',
            "    }",
        )
    )


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


def _storage_tls(ca_file: Path | None) -> str:
    if ca_file is None:
        return ""
    return (
        f'proxy_ssl_trusted_certificate "{_path(ca_file)}"; '
        "proxy_ssl_verify on; proxy_ssl_verify_depth 5;"
    )


def _servers(sockets: tuple[Path, ...]) -> str:
    return "\n".join(
        f'        server "unix:{_path(path)}" max_fails=1 fail_timeout=1s;' for path in sockets
    )


def _fill(template: str, values: Mapping[str, str]) -> str:
    text = (TEMPLATES / template).read_text()
    unused = set(values) - set(_PLACEHOLDER.findall(text))
    if unused:
        raise ValueError(f"{template} has no place for {', '.join(sorted(unused))}")
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _path(path: Path) -> str:
    text = str(path)
    if not path.is_absolute() or _UNSAFE.search(text):
        raise ValueError(f"not a path nginx can use: {text!r}")
    return text


def _match(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"not a value nginx can use: {text!r}")
    return text


def _user(name: str | None) -> str:
    return "" if name is None else f"user {_match(re.compile('[a-z_][a-z0-9_-]*'), name)};"
