"""The running product under clients that mean no good, over its public ports alone."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Recipe, Sample
from tests.e2e.stage import Stage, descendants, state_of

pytestmark = pytest.mark.timeout(240)

EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Recipe(seconds=20, fps=25, channels=1).make()


def _address(stage: Stage) -> tuple[str, int]:
    host, port = re.findall(r"//([^:]+):(\d+)", stage.http)[0]
    return host, int(port)


def _raw(stage: Stage, method: str, target: str, **headers: str) -> tuple[int, bytes]:
    """A request whose target goes over the wire as it is."""
    with closing(http.client.HTTPConnection(*_address(stage), timeout=10)) as connection:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()


# What is private


PRIVATE = (
    "/hooks/publish", "/hooks/update", "/hooks/play", "/stat", "/metrics", "/status", "/viewers",
    "/control/drop/publisher?app=live&name=x", "/playlists/s/source", "/sessions/s", "/channels/ann",
)  # fmt: skip


@pytest.mark.parametrize("path", PRIVATE)
def test_private_endpoints_are_not_public(stage: Stage, path: str) -> None:
    """A path that is nothing else is a page of the web UI to read, and nothing at all to write."""
    status, body = _raw(stage, "GET", path)
    assert status in (200, 404)
    assert status == 404 or b"<!doctype html" in body.lower()
    for method in ("POST", "PUT", "DELETE"):
        status, body = _raw(stage, method, path, Content_Length="0", X_Session="s")
        assert status in (403, 404, 405), (method, status)


def test_only_three_ports_of_ours_take_strangers(stage: Stage) -> None:
    """Everything else that listens is on a unix socket, or asks for a password on loopback."""
    ours = set(descendants(stage.instance.process.pid))
    ports = {port for pid, port in _listeners() if pid in ours}
    public = {_address(stage)[1], stage.rtmp_port, stage.instance.info["irc_port"]}
    assert public <= ports
    known = {_port(stage.environment[f"FOOTLIGHT_{name}"]) for name in ("NATS_URL", "S3_ENDPOINT")}
    control = _port(stage.environment["FOOTLIGHT_INGEST_NGINX_URL"])
    # NATS's monitor is the one left: it says how the server is and nothing of what is in it.
    assert len(ports - public - known - {control}) <= 1


def _port(url: str) -> int:
    return int(re.findall(r":(\d+)(?:/|$)", url)[-1])


def _listeners() -> list[tuple[int, int]]:
    """(pid, port) of every listening TCP socket that we may look at."""
    sockets: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                sockets[f"socket:[{words[9]}]"] = int(words[1].rpartition(":")[2], 16)
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target in sockets:
            found.append((int(entry.parts[2]), sockets[target]))
    return found


async def test_controls_of_nginx_are_for_this_machines_own(stage: Stage) -> None:
    """A page in a browser on this machine, a rebound name, and another loopback address get nothing."""
    url = stage.environment["FOOTLIGHT_INGEST_NGINX_URL"]
    async with aiohttp.ClientSession() as client:
        for headers in ({"Origin": EVIL}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "none"}):
            async with client.get(f"{url}/stat", headers=headers) as answer:
                assert answer.status == 403, headers
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=connector) as client:
        async with client.get(f"{url}/stat") as answer:
            assert answer.status == 403


# Browsers of others


async def test_other_sites_get_streams_and_nothing_else(stage: Stage) -> None:
    async with httpx.AsyncClient(base_url=stage.http, headers={"Origin": EVIL}) as client:
        for path in ("/live/nobody/index.m3u8", "/live/nobody/state"):
            assert (await client.get(path)).headers["access-control-allow-origin"] == "*"
        for path in ("/api/v1/me", "/api/v1/streams", "/api/v1/auth/login", "/"):
            for method in ("GET", "OPTIONS"):
                wish = {"Access-Control-Request-Method": "POST"}
                answer = await client.request(method, path, headers=wish)
                assert "access-control-allow-origin" not in answer.headers, (method, path)
                assert "access-control-allow-credentials" not in answer.headers


async def test_cookies_and_what_goes_with_them(stage: Stage) -> None:
    """Cookies no script reads, no other site sends, and that do nothing without their CSRF token."""
    async with stage.channel() as channel, httpx.AsyncClient(base_url=stage.http) as client:
        login = f"{channel.login[:16]}_c"
        account = {"login": login, "email": f"{login}@example.org", "password": "correct horse 1"}
        assert (await client.post("/api/v1/auth/register", json=account)).status_code == 201
        body = {"login": login, "password": "correct horse 1", "session": "cookie"}
        answer = await client.post("/api/v1/auth/login", json=body)
        assert answer.status_code == 200
        cookies = {header.split("=")[0]: header for header in answer.headers.get_list("set-cookie")}
        for name in ("footlight_access", "footlight_refresh"):
            assert "HttpOnly" in cookies[name]
            assert answer.text.count(client.cookies[name]) == 0
        assert "Path=/api/v1/auth" in cookies["footlight_refresh"]
        assert "HttpOnly" not in cookies["footlight_csrf"]
        assert all("SameSite=Lax" in cookie for cookie in cookies.values())
        csrf = answer.json()["csrf_token"]
        key = {"name": "Mine"}
        for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": csrf[:-1] + "x"}):
            refused = await client.post("/api/v1/me/stream-keys", json=key, headers=headers)
            assert refused.status_code == 403, headers
        done = await client.post("/api/v1/me/stream-keys", json=key, headers={"X-CSRF-Token": csrf})
        assert done.status_code == 201
        # A form of another site: no JSON, so nothing is read.
        form = await client.post("/api/v1/auth/login", data=body, headers={"Origin": EVIL})
        assert form.status_code == 415


PAGES = ("/", "/somebody", "/login", "/register", "/settings", "/dashboard", "/api/docs")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_its_policy(stage: Stage, path: str) -> None:
    answer = httpx.get(stage.http + path)
    assert answer.status_code == 200
    policy = dict(
        rule.partition(" ")[::2] for rule in answer.headers["content-security-policy"].split("; ")
    )
    scripts = policy.get("script-src", policy["default-src"])
    assert "unsafe" not in scripts and "*" not in scripts
    assert policy["frame-ancestors"] == "'none'"
    assert policy.get("object-src", policy["default-src"]) == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S", answer.text)


# Requests that are wrong


BODIES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "application/json"),
    "nothing": (b"", "application/json"),
    "a list": (b"[]", "application/json"),
    "a number": (b"NaN", "application/json"),
    "not UTF-8": (b'{"login": "\xff\xfe"}', "application/json"),
    "a lone surrogate": (b'{"login": "\\ud800", "password": "x"}', "application/json"),
    "a zero byte": (b'{"login": "a\\u0000b", "password": "x"}', "application/json"),
    "100,000 levels": (b"[" * 100_000, "application/json"),
    "a number of 5,000 digits": (b'{"login": ' + b"9" * 5000 + b"}", "application/json"),
    "an unknown field": (b'{"login": "abc", "password": "x", "role": "admin"}', "application/json"),
    "another type": (b'{"login": "abc", "password": "x"}', "text/plain"),
    "no type": (b'{"login": "abc", "password": "x"}', ""),
    "2 MB": (b'{"login": "' + b"a" * 2_000_000 + b'", "password": "x"}', "application/json"),
}


@pytest.mark.parametrize("what", BODIES)
async def test_bad_bodies_are_the_clients_fault(stage: Stage, what: str) -> None:
    body, kind = BODIES[what]
    headers = {"Content-Type": kind} if kind else {}
    async with httpx.AsyncClient(base_url=stage.http) as client:
        for path in ("/api/v1/auth/login", "/api/v1/auth/register"):
            answer = await client.post(path, content=body, headers=headers)
            assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text)
            error: dict[str, Any] = answer.json()["error"]
            assert re.fullmatch(r"[a-z_]+", error["code"]) and error["message"]


def test_bad_heads_are_refused(stage: Stage) -> None:
    assert _raw(stage, "GET", "/" + "a" * 40_000)[0] == 414
    assert _raw(stage, "GET", "/", X_Long="a" * 40_000)[0] == 431
    assert _raw(stage, "TRACE", "/")[0] == 405
    for request in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ):
        with socket.create_connection(_address(stage), 10) as connection:
            connection.sendall(request)
            assert connection.recv(64).startswith(b"HTTP/1.1 400"), request


async def test_paths_lead_nowhere_else(stage: Stage, sample: Sample) -> None:
    """Whatever a path below /live/ says, only media of streams come back, and no note of ingest's."""
    async with stage.channel() as channel, await stage.publisher(channel.key) as connection:
        pushing = asyncio.create_task(connection.push(sample.tags))
        state = await state_of(stage, channel.login, "live")
        live = f"/live/{channel.login}/{state['session']}/source"
        tricks = (
            "/live/../api/v1/me", "/live/%2e%2e/%2e%2e/etc/passwd", "/live/..%2f..%2fetc%2fpasswd",
            f"{live}/../session.json", f"{live}/..%2fsession.json", f"{live}/%2e%2e/session.json",
            f"/live/{channel.login}/{state['session']}/session.json", f"{live}/init-0.mp4~",
            f"{live}/init-0.mp4%00.jpg", f"{live}/../../../../../../etc/passwd", f"{live}//etc/passwd",
            f"{live}/....//....//etc/passwd", f"{live}/%252e%252e/session.json", f"{live}/.",
            f"{live}/", f"{live}", f"/live/-thumbnail/{state['session']}", f"/live/{'a' * 4000}/state",
            f"/live/{channel.login}/{'s' * 200}/source/index.m3u8", "/live/", "/live", "/live/%00/state",
            f"/live/{channel.login.upper()}/index.m3u8", f"/live/{channel.login}%0d%0aX:%20y/state",
            "/assets/../index.html%00", "/assets/..%2f..%2fnginx.conf", "/../nginx.conf", "/.%2e/nginx.conf",
        )  # fmt: skip
        for path in tricks:
            status, body = await asyncio.to_thread(_raw, stage, "GET", path)
            page = status == 200 and b"<!doctype html" in body.lower()
            assert page or 400 <= status < 500, (path, status, body[:200])
            assert b"root:" not in body and b"packager" not in body, path
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        await connection.stop()


# RTMP


async def test_names_no_encoder_sends(stage: Stage, sample: Sample) -> None:
    """Refused, each of them, and the channel whose key was bent into them is none the wiser."""
    async with stage.channel() as channel, stage.channel() as victim:
        key = channel.key
        names = (
            "", ".", "..", "../../etc/passwd", f"../{key}", f"{key}/..", f"{key}%2f..", "%2e%2e%2f",
            key + "x" * 300, "x" * 300, f"{key}\r\nX: y", f"{key} ", f" {key}", "é" * 40,
            f"{key}?name={victim.key}&clientid=1", f"{key}?app=other", f"{key}?call=publish_done",
            f"{key}&clientid=1", key.upper(), "live_1_", "live__", "live_-1_x", "live_9" + "9" * 30 + "_x",
        )  # fmt: skip
        for name in names:
            try:
                async with await Connection.open(stage.rtmp_port) as connection:
                    await connection.publish(name)
            except Rejected:
                continue
            pytest.fail(f"{name!r} was let in")
        for each in (channel, victim):
            assert (await each.state())["state"] == "offline"
            assert await stage.streams(each.login) == []
        # An argument that is nobody's business changes nothing.
        async with await stage.publisher(f"{key}?bandwidthtest=true") as connection:
            pushing = asyncio.create_task(connection.push(sample.tags))
            await channel.wait_for("live")
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await connection.stop()


async def test_other_applications_are_none(stage: Stage) -> None:
    for app in ("", "live/../live", "other", "LIVE", "x" * 1000):
        with pytest.raises(Rejected):
            async with await Connection.open(stage.rtmp_port, app=app) as connection:
                await connection.publish("stream")


async def test_connections_that_say_nothing_are_told_to_nobody(stage: Stage) -> None:
    """They come in floods. `bad_hook` is what ingest would say of one."""
    log = stage.instance.data / "logs" / "ingest.log"
    before = log.read_text().count('"bad_hook"')
    async with stage.channel() as channel:
        for _ in range(20):
            _reader, writer = await asyncio.open_connection("127.0.0.1", stage.rtmp_port)
            writer.close()
            await writer.wait_closed()
        # By the time it has answered this one it has heard of those.
        await (await stage.publisher(channel.key)).stop()
    assert log.read_text().count('"bad_hook"') == before


async def test_rtmp_is_not_for_viewers(stage: Stage, sample: Sample) -> None:
    """Neither from another address nor from loopback, by the stream's own name or its key."""
    async with stage.channel() as channel, await stage.publisher(channel.key) as connection:
        pushing = asyncio.create_task(connection.push(sample.tags))
        await channel.wait_for("live")
        publisher = json.loads(
            (await stage.broadcasts(channel.login, ("live", None)))[0]["publisher"]
        )
        for source in ("127.0.0.2", "127.0.0.1"):
            for name in (publisher["name"], channel.key, channel.login):
                with pytest.raises(Rejected):
                    async with await Connection.open(stage.rtmp_port, source=source) as viewer:
                        await viewer.play(name)
        assert not connection.closed.is_set()
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        await connection.stop()
