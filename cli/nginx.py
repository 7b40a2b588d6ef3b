"""Configuration of the nginx instances: values in, text out, and the folder an instance runs in.

All run unprivileged, in the foreground, with their folder as prefix::

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
_LOOPBACK = re.compile(r"127\.0\.0\.1:[0-9]{1,5}")
_NETWORK = re.compile(r"[0-9a-fA-F.:]+(?:/[0-9]{1,3})?")
# An origin and perhaps a path, of characters that neither Lua nor nginx nor a policy gives a meaning.
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")
_LUA_PATH = re.compile(r"[^\"'$\\{}\x00-\x1f]+")
_TEMPORARY = ("body", "proxy", "fastcgi", "uwsgi", "scgi")
_OWN_FILES = 200
# Mozilla's "intermediate" of 2025: forward secrecy and authenticated encryption for TLS 1.2; TLS 1.3 has no others.
_CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
_MAX_CONNECTIONS = 16384


def open_files() -> int:
    """How many files a process started from here may open at most."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def connections(files: int) -> int:
    """Connections one worker may hold with ``files`` open files: some are kept for logs, modules and media."""
    return max(256, min(_MAX_CONNECTIONS, (files - _OWN_FILES) * 4 // 5))


@dataclass(frozen=True)
class Certificate:
    """PEM files: the chain, and its private key."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class TlsNginx:
    """Values of ``tls.conf.template``: listeners, and where each passes what it hears on to."""

    modules_dir: Path
    certificate: Certificate
    rtmps_listen: str = ""
    rtmp_proxied: str = ""
    irc_listen: str = ""
    irc_sockets: tuple[Path, ...] = ()
    workers: int = 2
    address_connections: int = 1_000
    user: str | None = None


@dataclass(frozen=True)
class IngestNginx:
    """Values of ``ingest.conf.template``.

    ``boot_id`` must differ each time it is rendered: with the worker's pid it names the life that RTMP
    client ids belong to. ``max_connections`` None is three quarters of all there are: with fewer, idle
    connections would sooner keep streamers out. ``user`` is for tests that start nginx as root.
    """

    modules_dir: Path
    rtmp_listen: str
    http_port: int
    ingest_socket: Path
    boot_id: str
    # Where the nginx that speaks RTMPS passes streams on to: on loopback, "" for nowhere.
    proxied_listen: str = ""
    drop_idle_publisher_s: int = 10
    max_connections: int | None = None
    user: str | None = None


@dataclass(frozen=True)
class EdgeNginx:
    """Values of ``edge.conf.template``.

    ``lua_package_path`` says where lua-resty-core is (``…/?.lua;;``). ``playback_key`` signs playback
    ids; keep it, and viewers are counted across a restart. ``media_token_key`` checks the tokens of
    private videos.

    Rates are requests per second: ``playback_rate`` for one playback's playlists (a player asks for
    one per part and rendition that it follows), ``anonymous_rate`` for playlists asked for from one
    address without an id of ours, ``address_rate`` for everything under /live/ from one address,
    behind which there may be thousands of viewers, ``address_opening_rate`` for new playbacks from one
    address, ``address_api_rate`` and ``address_chat_rate`` for the API and for new chat sockets; each may
    come at once as often as its burst says. ``playback_held`` is how many requests of one playback are held at once.
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
    address_api_rate: int = 300
    address_api_burst: int = 3_000
    address_chat_rate: int = 200
    address_chat_burst: int = 5_000
    # Multiplies these four.
    rate_limit_factor: float = 1.0
    address_connections: int | None = None
    storage_public_url: str = ""
    storage_ca_file: Path | None = None
    storage_patience_s: int = 10
    video_cache_bytes: int = 2 << 30
    metrics_listen: str = ""
    # Over TLS, with HTTP/2. The other port then sends browsers here, to ``public_url``.
    tls_listen: str = ""
    certificate: Certificate | None = None
    public_url: str = ""
    hsts_s: int = 0
    acme_dir: Path | None = None
    playlists_bytes: int = 64 << 20
    viewers_memory: str = "32m"
    user: str | None = None


def render_ingest(values: IngestNginx) -> str:
    """The configuration of nginx (ingest). Raises ValueError for a value that cannot stand in it."""
    files = open_files()
    per_worker = connections(files)
    return _fill(
        "ingest.conf.template",
        {
            "MODULES_DIR": _path(values.modules_dir),
            "RTMP_LISTEN": "\n        ".join(
                _rtmp_listen(values.rtmp_listen, values.proxied_listen)
            ),
            "HTTP_PORT": str(int(values.http_port)),
            "INGEST_SOCKET": _path(values.ingest_socket),
            "BOOT_ID": _match(re.compile(r"[A-Za-z0-9_.-]{1,64}"), values.boot_id),
            "DROP_IDLE_PUBLISHER": f"{values.drop_idle_publisher_s}s",
            "MAX_CONNECTIONS": str(values.max_connections or per_worker * 3 // 4),
            "OTHER_REDIRECTS": " ".join(str(code) for code in range(300, 400) if code != 302),
            "OPEN_FILES": str(files),
            "WORKER_CONNECTIONS": str(per_worker),
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

    def often(count: int) -> str:
        return str(max(1, round(count * values.rate_limit_factor)))

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
            "LISTEN_TLS": _listen_tls(values),
            "TO_TLS": _to_tls(values),
            "ACME": _acme(values.acme_dir),
            "CIPHERS": _CIPHERS,
            "HSTS": f"max-age={values.hsts_s}" if values.hsts_s else "",
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
            "ADDRESS_API_RATE": often(values.address_api_rate),
            "ADDRESS_API_BURST": often(values.address_api_burst),
            "ADDRESS_CHAT_RATE": often(values.address_chat_rate),
            "ADDRESS_CHAT_BURST": often(values.address_chat_burst),
            "ADDRESS_CONNECTIONS": str(address_connections),
            "PLAYLISTS_BYTES": str(values.playlists_bytes),
            "VIEWERS_MEMORY": values.viewers_memory,
            "OPEN_FILES": str(files),
            "WORKER_CONNECTIONS": str(per_worker),
            "USER": _user(values.user),
        },
    )


def render_tls(values: TlsNginx) -> str:
    """The configuration of nginx (TLS). Raises ValueError for a value that cannot stand in it."""
    files = open_files()
    # Two of these, and two files, for each connection.
    per_worker = connections(files)
    return _fill(
        "tls.conf.template",
        {
            "MODULES_DIR": _path(values.modules_dir),
            "CERTIFICATE": _path(values.certificate.chain),
            "CERTIFICATE_KEY": _path(values.certificate.key),
            "CIPHERS": _CIPHERS,
            "WORKERS": str(values.workers),
            "OPEN_FILES": str(files),
            "WORKER_CONNECTIONS": str(per_worker),
            "ADDRESS_CONNECTIONS": str(values.address_connections),
            "SERVERS": "\n    ".join(_tls_servers(values)),
            "USER": _user(values.user),
        },
    )


def _tls_servers(values: TlsNginx) -> list[str]:
    lines = []
    if values.rtmps_listen:
        # Keep-alive finds a streamer that vanished without a word, as on the port without TLS.
        listen = f"listen {_match(_LISTEN, values.rtmps_listen)} ssl so_keepalive=15s:5s:3;"
        lines.append(f"server {{ {listen} proxy_pass {_match(_LOOPBACK, values.rtmp_proxied)}; }}")
    if values.irc_listen:
        servers = " ".join(f'server "unix:{_path(path)}";' for path in values.irc_sockets)
        lines.append(f"upstream irc {{ least_conn; {servers} }}")
        listen = f"listen {_match(_LISTEN, values.irc_listen)} ssl so_keepalive=on;"
        lines.append(f"server {{ {listen} proxy_pass irc; }}")
    return lines


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


def _rtmp_listen(public: str, proxied: str) -> list[str]:
    """The listeners for ``public``: workers pull over 127.0.0.1, whatever address streamers use.

    Never a unix socket: nginx-rtmp takes what comes over one for a relay of its own and asks no hook.
    """
    host, _, port = _match(_LISTEN, public).rpartition(":")
    addresses = [public]
    if host not in ("127.0.0.1", "0.0.0.0", "*"):  # noqa: S104
        addresses.append(f"127.0.0.1:{port}")
    lines = [f"listen {address} so_keepalive=15s:5s:3;" for address in addresses]
    if proxied:
        lines.append(f"listen {_match(_LOOPBACK, proxied)} proxy_protocol;")
    return lines


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
            *locations,
            '        location / { content_by_lua_block { require("internal").unknown() } }',
            "    }",
        )
    )


def _listen_tls(values: EdgeNginx) -> str:
    if not values.tls_listen or values.certificate is None:
        return ""
    address, certificate = _match(_LISTEN, values.tls_listen), values.certificate
    return (
        f"listen {address} ssl http2 reuseport backlog=4096;\n"
        f'        ssl_certificate "{_path(certificate.chain)}";\n'
        f'        ssl_certificate_key "{_path(certificate.key)}";'
    )


def _to_tls(values: EdgeNginx) -> str:
    if not values.tls_listen:
        return ""
    url = _match(_URL, values.public_url)
    return f'if ($belongs_on_tls) {{ return 308 "{url}$request_uri"; }}'


def _acme(folder: Path | None) -> str:
    """Where the certificate authority looks whether this name is ours (RFC 8555, 8.3)."""
    if folder is None:
        return ""
    return (
        "location ^~ /.well-known/acme-challenge/ { default_type text/plain; "
        f'alias "{_path(folder)}/"; }}'
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
