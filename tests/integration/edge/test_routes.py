"""The web UI, the API behind the edge, and the headers of both."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from cli import nginx
from tests.harness import eventually, eventually_async
from tests.integration.edge.nginx import Edge, running_edge

CSP = {
    "default-src 'self'",
    "script-src 'self'",
    "style-src 'self'",
    "style-src-elem 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "worker-src 'self'",
    "font-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
}


@pytest.fixture
async def site(edge: Edge) -> Edge:
    web_root = edge.values.web_root
    (web_root / "index.html").write_text("<!doctype html><title>Footlight</title>")
    (web_root / "assets/app-1a2b.js").write_text("console.log(1);\n" * 500)
    (web_root / "assets/app-1a2b.css").write_text("a{color:red}" * 500)
    (web_root / "favicon.svg").write_text("<svg/>")
    return edge


@pytest.fixture
async def api(edge: Edge) -> AsyncIterator[list[web.Request]]:
    """A service behind /api/ that echoes what it was sent."""
    seen: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request)
        body = await request.read()
        if request.path == "/api/v1/own-headers":
            headers = {
                "Content-Security-Policy": "default-src 'none'",
                "Cache-Control": "max-age=7",
            }
            return web.json_response({}, headers=headers)
        if request.path == "/api/v1/teapot":
            return web.json_response({"error": {"code": "own"}}, status=502)
        return web.json_response({"size": len(body)})

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(edge.values.api_socket)).start()
    edge.values.api_socket.chmod(0o777)
    yield seen
    await runner.cleanup()


@pytest.mark.parametrize("path", ["/", "/ann", "/dashboard", "/settings/keys", "/overlay/chat/ann"])
async def test_pages_are_the_application(site: Edge, path: str) -> None:
    async with site.viewer.get(site.url + path) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html"
        assert "Footlight" in await answer.text()
        assert answer.headers["Cache-Control"] == "no-cache"
        policy = set(answer.headers["Content-Security-Policy"].split("; "))
        assert policy == CSP | {"frame-ancestors 'none'"}
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
        assert "camera=()" in answer.headers["Permissions-Policy"]
        assert "Server" not in answer.headers or answer.headers["Server"] == "nginx"


async def test_embeds_may_be_framed(site: Edge) -> None:
    async with site.viewer.get(site.url + "/embed/ann?x=/embed/") as answer:
        assert "frame-ancestors *" in answer.headers["Content-Security-Policy"]
    async with site.viewer.get(site.url + "/ann?x=/embed/") as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_assets(site: Edge) -> None:
    for name, kind in (("app-1a2b.js", "text/javascript"), ("app-1a2b.css", "text/css")):
        async with site.viewer.get(
            f"{site.url}/assets/{name}", headers={"Accept-Encoding": "gzip"}
        ) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == kind
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
    (site.values.web_root / "assets/app-1a2b.js.gz").write_bytes(b"made when it was built")
    async with site.viewer.get(
        f"{site.url}/assets/app-1a2b.js", headers={"Accept-Encoding": "gzip"}
    ) as answer:
        assert await answer.read() == b"made when it was built"
    for missing in ("/assets/gone-1.js", "/assets/", "/robots.txt", "/.env", "/x/.git/config.js"):
        async with site.viewer.get(site.url + missing) as answer:
            assert answer.status == 404, missing
            assert "immutable" not in answer.headers.get("Cache-Control", "")
            assert (await answer.json())["error"]["code"] == "not_found"
    async with site.viewer.get(site.url + "/favicon.svg") as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml"


async def test_api_gets_the_true_client(edge: Edge, api: list[web.Request]) -> None:
    claims = {"X-Real-IP": "6.6.6.6", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
    async with edge.viewer.get(f"{edge.url}/api/v1/me?x=1", headers=claims) as answer:
        assert answer.status == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
    headers = api[0].headers
    assert headers.getall("X-Real-IP") == ["127.0.0.1"]
    assert headers.getall("X-Forwarded-For") == ["127.0.0.1"]
    assert headers.getall("X-Forwarded-Proto") == ["http"]
    assert headers["Host"] == f"127.0.0.1:{edge.port}"
    assert len(headers["X-Request-Id"]) == 32
    assert api[0].path_qs == "/api/v1/me?x=1"


async def test_trusted_proxy_names_the_client() -> None:
    async with running_edge(trusted_proxies=("127.0.0.0/8",)) as edge:
        seen: list[web.Request] = []

        async def handle(request: web.Request) -> web.Response:
            seen.append(request)
            return web.json_response({})

        app = web.Application()
        app.router.add_get("/api/v1/me", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(edge.values.api_socket)).start()
        edge.values.api_socket.chmod(0o777)
        claims = {"X-Forwarded-For": "1.2.3.4, 9.9.9.9", "X-Forwarded-Proto": "https"}
        async with edge.viewer.get(f"{edge.url}/api/v1/me", headers=claims):
            pass
        await runner.cleanup()
        assert seen[0].headers["X-Real-IP"] == "9.9.9.9"
        assert seen[0].headers["X-Forwarded-Proto"] == "https"


async def test_services_own_headers_and_errors_pass(edge: Edge, api: list[web.Request]) -> None:
    async with edge.viewer.get(f"{edge.url}/api/v1/own-headers") as answer:
        assert answer.headers.getall("Content-Security-Policy") == ["default-src 'none'"]
        assert answer.headers.getall("Cache-Control") == ["max-age=7"]
    async with edge.viewer.get(f"{edge.url}/api/v1/teapot") as answer:
        assert answer.status == 502
        assert (await answer.json())["error"]["code"] == "own"
    assert len(api) == 2


async def test_body_limit(edge: Edge, api: list[web.Request]) -> None:
    url = f"{edge.url}/api/v1/me"
    async with edge.viewer.post(url, data=io.BytesIO(b"x" * (1 << 20))) as answer:
        assert (await answer.json())["size"] == 1 << 20
    async with edge.viewer.post(url, data=io.BytesIO(b"x" * ((1 << 20) + 1))) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["code"] == "too_large"
    assert len(api) == 1


@pytest.mark.parametrize("path", ["/api/v1/me", "/readyz"])
async def test_dead_api_is_said_in_json(edge: Edge, path: str) -> None:
    async with edge.viewer.get(edge.url + path) as answer:
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "unavailable"
        assert answer.headers["Retry-After"] == "1"
    async with edge.viewer.get(edge.url + "/healthz") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/status", "/metrics", "/viewers", "/playlists/s/source"])
async def test_private_routes_are_not_public(edge: Edge, path: str) -> None:
    async with edge.viewer.put(edge.url + path, data=b"x") as answer:
        assert answer.status in (404, 405)
    async with edge.viewer.get(edge.url + path) as answer:
        assert "X-Edge-Boot" not in answer.headers


async def test_private_metrics(edge: Edge) -> None:
    async with edge.publisher.get("http://edge/metrics") as answer:
        text = await answer.text()
    assert "# TYPE footlight_edge_workers gauge\nfootlight_edge_workers 2\n" in text
    limit = int(re.findall(r"^footlight_edge_connections_limit (\d+)$", text, re.MULTILINE)[0])
    assert limit == 2 * nginx.connections(nginx.open_files())
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/nothing", 404)):
        async with edge.publisher.get(f"http://edge{path}") as answer:
            assert answer.status == status
            assert "X-Edge-Boot" in answer.headers


async def test_requests_are_told_without_secrets(edge: Edge, api: list[web.Request]) -> None:
    edge.write_media("s", "source/init-0.mp4", b"media")
    asked = {
        "/api/v1/x?token=canary4711": "/api/v1/x",
        '/api/v1/"ä"\\?v=canary4711': "/api/v1/%22%C3%A4%22%5C",
        "/live/ann/index.m3u8?v=canary4711": "/live/ann/index.m3u8",
        "/live/live_12_canary4711/x": "/live/***/x",
        "/live/ann/s/source/init-0.mp4?p=canary4711": None,
        "/vod/~9.8.canary4711/8/source/1.m4s": "/vod/~/8/source/1.m4s",
        "/vod/%257e9.8.canary4711/o/canary4711/x": "/vod/~/o/~/x",
    }
    for path in asked:
        async with edge.viewer.get(edge.url + path, headers={"Cookie": "canary4711"}):
            pass
    told = [path for path in asked.values() if path]
    eventually(lambda: len(edge.nginx.told()) >= len(told), what="requests are told")
    lines = [line for line in edge.nginx.told() if line["event"] == "request"]
    # Two workers tell them.
    assert sorted(line["path"] for line in lines) == sorted(told)
    assert "canary4711" not in edge.nginx.log
    assert "init-0.mp4" not in edge.nginx.log
    first = next(line for line in lines if line["path"] == "/api/v1/x")
    assert first["request_id"] == api[0].headers["X-Request-Id"]
    assert first["service"] == "edge" and first["upstream_status"] == str(first["status"])
    assert first["address"] == "127.0.0.1" and first["method"] == "GET" and first["bytes"] > 0


async def test_a_log_that_nobody_reads_holds_nobody_up() -> None:
    """Nor does it grow without bound: each worker tells some, and how many more there were."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    os.set_blocking(reader, False)
    try:
        async with running_edge(output=writer, workers=1) as edge:
            asked, text = 0, b""

            async def ask() -> None:
                nonlocal asked
                async with edge.viewer.get(edge.url + "/api/v1/x") as answer:
                    assert answer.status == 503
                asked += 1

            async def all_told() -> bool:
                nonlocal text
                with contextlib.suppress(BlockingIOError):
                    text += os.read(reader, 1 << 20)
                lines = [
                    json.loads(line) for line in text.lstrip(b"x").splitlines() if line[:1] == b"{"
                ]
                if asked == sum(line.get("count", 1) for line in lines):
                    return True
                await ask()
                return False

            for _ in range(20):
                await ask()
            await eventually_async(all_told, what="every request is told, or counted")
            assert b"requests_not_logged" in text
    finally:
        os.close(reader)
        os.close(writer)
