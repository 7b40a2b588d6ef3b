"""Rendering of the two nginx configurations."""

from __future__ import annotations

import dataclasses
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from cli import nginx

EDGE = nginx.EdgeNginx(
    modules_dir=Path("/opt/my packages/modules"),
    lua_package_path="/opt/my packages/lua/?.lua;;",
    listen="127.0.0.1:8080",
    internal_socket=Path("/run/f/edge-internal.sock"),
    api_socket=Path("/run/f/api.sock"),
    recorder_socket=Path("/run/f/recorder.sock"),
    chat_sockets=(Path("/run/f/chat-ws.sock"), Path("/run/f/chat-ws-2.sock")),
    chat_http_sockets=(Path("/run/f/chat.sock"),),
    media_dir=Path("/media/footlight"),
    web_root=Path("/srv/web root"),
    playback_key=bytes(range(32)),
    media_token_key=bytes(range(32, 64)),
    workers=4,
)
INGEST = nginx.IngestNginx(
    modules_dir=Path("/modules"),
    rtmp_listen="0.0.0.0:1935",
    http_port=20001,
    ingest_socket=Path("/run/f/ingest.sock"),
    boot_id="1f2e-3d",
)


def changed(values: Any, **changes: Any) -> Any:
    return dataclasses.replace(values, **changes)


def directives(text: str) -> str:
    """The text without comments, its white space made single."""
    return " ".join(re.sub(r"(?m)^\s*#.*$", "", text).split())


def test_edge_has_every_value() -> None:
    text = directives(nginx.render_edge(EDGE))
    for part in (
        "worker_processes 4;",
        'load_module "/opt/my packages/modules/ngx_http_lua_module.so";',
        "listen 127.0.0.1:8080 reuseport",
        'listen "unix:/run/f/edge-internal.sock";',
        'server "unix:/run/f/api.sock" max_fails=0;',
        'alias "/media/footlight/$stream/$file";',
        'root "/srv/web root";',
        f'require("viewers").configure("{bytes(range(32)).hex()}", 1000)',
        f'lua_package_path "{nginx.LUA}/?.lua;/opt/my packages/lua/?.lua;;";',
        "access_log off;",
    ):
        assert part in text, part
    assert "${" not in text
    assert "set_real_ip_from" not in text
    assert not re.search(r"\buser \w+;", text)


def test_edge_options() -> None:
    text = directives(
        nginx.render_edge(changed(EDGE, trusted_proxies=("10.0.0.0/8", "::1"), user="root"))
    )
    assert "set_real_ip_from 10.0.0.0/8; set_real_ip_from ::1;" in text
    assert "real_ip_header X-Forwarded-For; real_ip_recursive on;" in text
    assert "default 0; 10.0.0.0/8 1; ::1 1;" in text
    assert "user root;" in text


def test_connections_of_an_address_are_half_of_all() -> None:
    text = directives(nginx.render_edge(EDGE))
    connections = int(re.findall(r"worker_connections (\d+);", text)[0])
    assert f"limit_conn address_open {connections * 4 // 2};" in text
    text = directives(nginx.render_edge(changed(EDGE, address_connections=77)))
    assert "limit_conn address_open 77;" in text


@pytest.mark.parametrize("files", [256, 1024, 20_000, 1 << 20])
def test_connections_fit_into_open_files(files: int) -> None:
    assert 0 < nginx.connections(files) <= max(files, 256)


def test_ingest_has_every_value() -> None:
    text = directives(nginx.render_ingest(INGEST))
    for part in (
        "worker_processes 1;",
        "listen 0.0.0.0:1935 so_keepalive=15s:5s:3;",
        "listen 127.0.0.1:20001;",
        'server "unix:/run/f/ingest.sock" max_fails=0;',
        'proxy_set_header X-Nginx-Boot "1f2e-3d-$pid";',
        "on_publish http://127.0.0.1:20001/hooks/publish;",
        "idle_streams on; wait_key off; wait_video off;",
        "drop_idle_publisher 10s;",
        "allow play 127.0.0.1; deny play all;",
        "error_page 500 502 503 504 =200 @kept;",
        "error_log stderr warn;",
    ):
        assert part in text, part
    assert "${" not in text
    assert text.count("access_log off;") == 2
    assert not re.search(r"\b(hls|dash|exec\w*|rtmp_auto_push)\b", text)


def test_ingest_lets_exactly_one_redirect_pass() -> None:
    publish = directives(nginx.render_ingest(INGEST)).split("location = /hooks/publish")[0]
    codes = re.findall(r"error_page ([\d ]+) =403", publish)[0].split()
    assert {int(code) for code in codes} == set(range(300, 400)) - {302}


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:1935", ["127.0.0.1:1935"]),
        ("0.0.0.0:1935", ["0.0.0.0:1935"]),
        ("192.0.2.7:1935", ["192.0.2.7:1935", "127.0.0.1:1935"]),
        ("[::1]:1935", ["[::1]:1935", "127.0.0.1:1935"]),
    ],
)
def test_workers_can_pull_over_loopback(listen: str, expected: list[str]) -> None:
    text = directives(nginx.render_ingest(changed(INGEST, rtmp_listen=listen)))
    assert re.findall(r"listen (\S+) so_keepalive", text) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"media_dir": Path("relative")},
        {"media_dir": Path('/quote"')},
        {"media_dir": Path("/dollar$x")},
        {"web_root": Path("/semi;colon")},
        {"api_socket": Path("/colon:x")},
        {"web_root": Path("/new\nline")},
        {"lua_package_path": 'x";'},
        {"listen": "8080"},
        {"listen": "127.0.0.1:80;"},
        {"trusted_proxies": ("10.0.0.0/8; x",)},
        {"playback_key": b"short"},
        {"user": "root; x"},
        {"error_level": "warn; x"},
    ],
)
def test_edge_refuses_what_would_change_the_configuration(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not a|shorter"):
        nginx.render_edge(changed(EDGE, **changes))


@pytest.mark.parametrize(
    "changes",
    [{"boot_id": "a b"}, {"boot_id": ""}, {"rtmp_listen": "x:1"}, {"ingest_socket": Path("x")}],
)
def test_ingest_refuses_what_would_change_the_configuration(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a"):
        nginx.render_ingest(changed(INGEST, **changes))


def test_prepare_keeps_the_key_private(tmp_path: Path) -> None:
    folder = tmp_path / "edge"
    for _ in range(2):
        nginx.prepare(folder, nginx.render_edge(EDGE))
        assert stat.S_IMODE((folder / "nginx.conf").stat().st_mode) == 0o600
    assert {path.name for path in (folder / "temp").iterdir()} >= {"body", "proxy"}
    assert nginx.command(Path("/usr/sbin/nginx"), folder)[0] == "/usr/sbin/nginx"


@pytest.mark.parametrize(
    "url",
    [
        "cdn.example", "ftp://cdn.example", "https://cdn.example/a b", "https://cdn.example/?x=1",
        'https://cdn.example/"', "https://cdn.example/$host", "https://user@cdn.example", "https://",
    ],
)  # fmt: skip
def test_a_public_address_of_the_storage_must_be_one(url: str) -> None:
    with pytest.raises(ValueError):
        nginx.render_edge(changed(EDGE, storage_public_url=url))


def test_where_videos_come_from() -> None:
    text = directives(nginx.render_edge(EDGE))
    assert 'server "unix:/run/f/recorder.sock" max_fails=0;' in text
    assert f'require("tokens").configure("{bytes(range(32, 64)).hex()}")' in text
    assert 'require("videos").configure("")' in text
    assert "proxy_ssl_verify" not in text
    values = changed(
        EDGE, storage_public_url="https://cdn.example/b/", storage_ca_file=Path("/etc/ca.pem")
    )
    text = directives(nginx.render_edge(values))
    assert 'require("videos").configure("https://cdn.example/b")' in text
    assert "connect-src 'self' https://cdn.example;" in text
    assert 'proxy_ssl_trusted_certificate "/etc/ca.pem"; proxy_ssl_verify on;' in text
    with pytest.raises(ValueError):
        nginx.render_edge(changed(EDGE, media_token_key=b"short"))


CERTIFICATE = nginx.Certificate(Path("/tls/chain.pem"), Path("/tls/key.pem"))
TLS = nginx.TlsNginx(
    modules_dir=Path("/modules"),
    certificate=CERTIFICATE,
    rtmps_listen="0.0.0.0:1936",
    rtmp_proxied="127.0.0.1:1934",
    irc_listen="[::]:6697",
    irc_sockets=(Path("/run/f/irc.sock"), Path("/run/f/irc-2.sock")),
)


def test_the_edge_speaks_tls_where_it_is_told_to() -> None:
    plain = directives(nginx.render_edge(EDGE))
    assert (
        " ssl http2 " not in plain
        and "return 308" not in plain
        and "acme-challenge/ {" not in plain
    )
    assert 'https ""; default "";' in plain
    secured = changed(
        EDGE,
        tls_listen="0.0.0.0:443",
        certificate=CERTIFICATE,
        public_url="https://live.example.org",
        hsts_s=60,
        acme_dir=Path("/data/tls/challenges"),
    )
    text = directives(nginx.render_edge(secured))
    for part in (
        "listen 127.0.0.1:8080 reuseport",
        "listen 0.0.0.0:443 ssl http2 reuseport",
        'ssl_certificate "/tls/chain.pem"; ssl_certificate_key "/tls/key.pem";',
        'if ($belongs_on_tls) { return 308 "https://live.example.org$request_uri"; }',
        'https "max-age=60";',
        'alias "/data/tls/challenges/";',
    ):
        assert part in text


def test_tls_passes_on_who_it_is() -> None:
    text = directives(nginx.render_tls(TLS))
    for part in (
        "proxy_protocol on;",
        "listen 0.0.0.0:1936 ssl so_keepalive=15s:5s:3; proxy_pass 127.0.0.1:1934;",
        'upstream irc { least_conn; server "unix:/run/f/irc.sock"; server "unix:/run/f/irc-2.sock"; }',
        "listen [::]:6697 ssl so_keepalive=on; proxy_pass irc;",
    ):
        assert part in text
    assert "worker_shutdown_timeout" not in text
    alone = nginx.render_tls(changed(TLS, irc_listen="", irc_sockets=()))
    assert "upstream irc" not in alone


def test_proxied_streams_come_over_loopback_alone() -> None:
    """Over a unix socket nginx-rtmp would ask no hook."""
    text = nginx.render_ingest(changed(INGEST, proxied_listen="127.0.0.1:1934"))
    assert "listen 127.0.0.1:1934 proxy_protocol;" in text
    for wrong in ("0.0.0.0:1934", "unix:/run/f/rtmp.sock", "127.0.0.1:1934; allow all"):
        with pytest.raises(ValueError, match="not a value"):
            nginx.render_ingest(changed(INGEST, proxied_listen=wrong))
        with pytest.raises(ValueError, match="not a value"):
            nginx.render_tls(changed(TLS, rtmp_proxied=wrong))


def test_limits_for_addresses_follow_the_factor() -> None:
    text = nginx.render_edge(changed(EDGE, rate_limit_factor=0.001))
    assert "zone=asking:8m rate=1r/s" in text and "zone=asking burst=3 nodelay" in text
    assert "zone=talking:8m rate=1r/s" in text and "zone=talking burst=5 nodelay" in text
