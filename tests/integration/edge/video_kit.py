"""An edge with a real object storage behind it, and what stands for `recorder`: a small HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from core.settings import Settings
from core.storage import Storage, open_storage
from recorder.edges import grant, resolve
from tests.harness import RunningServers
from tests.integration.edge.nginx import Edge, running_edge


@dataclass
class Wire:
    """A TCP proxy before the storage, which can be cut or made to say nothing."""

    target: tuple[str, int]
    port: int = 0
    cut: bool = False
    silent: bool = False
    connections: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Nobody listens there any more, and what was open is gone."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
            self._writers.add(far_writer)
            await asyncio.gather(
                self._pump(reader, far_writer, held=False),
                self._pump(far_reader, writer, held=True),
            )
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool
    ) -> None:
        while data := await reader.read(65536):
            if held and self.silent:
                continue
            if held and self.cut:
                writer.write(data[: len(data) // 2])
                await writer.drain()
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
        writer.close()


@dataclass
class Recorder:
    """Answers what the edge asks `recorder`; `states` maps `videos/7` to its answer."""

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    playlists: dict[str, str] = field(default_factory=dict)
    cache_control: str = "public, max-age=1"
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    runner: web.AppRunner | None = None

    async def start(self, edge: Edge) -> None:
        app = web.Application()
        app.router.add_get("/internal/media/{kind}/{id}", self._state)
        app.router.add_get("/{path:.*}", self._playlist)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.UnixSite(self.runner, str(edge.values.recorder_socket)).start()

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    async def _state(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        self.headers.append(dict(request.headers))
        state = self.states.get(f"{request.match_info['kind']}/{request.match_info['id']}")
        return web.json_response(state) if state else web.json_response({}, status=404)

    async def _playlist(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        self.headers.append(dict(request.headers))
        text = self.playlists.get(request.path)
        if text is None:
            error = {"error": {"code": "not_found", "message": "There is no such playlist."}}
            return web.json_response(error, status=404)
        return web.Response(
            body=gzip.compress(text.encode()),
            content_type="application/vnd.apple.mpegurl",
            headers={"Cache-Control": self.cache_control, "Content-Encoding": "gzip"},
        )


@dataclass
class VideoEdge:
    """All of it together."""

    edge: Edge
    settings: Settings
    storage: Storage
    recorder: Recorder
    wire: Wire

    async def tell(self, **changes: Any) -> None:
        """What recorder's `edges` posts."""
        settings = self.settings.model_copy(update=changes)
        addresses = await resolve(settings.s3_endpoint)
        told = grant(settings, addresses, datetime.now(UTC).date())
        async with self.edge.publisher.put(
            "http://edge/storage", headers=told.headers, data=told.body
        ) as answer:
            assert answer.status == 200, await answer.text()

    async def get(self, path: str, **options: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self.edge.viewer.get(
            self.edge.url + path, allow_redirects=False, **options
        ) as answer:
            if path.startswith(("/vod/", "/clip-media/", "/live/")):
                # Browsers take it once only.
                assert answer.headers.getall("Access-Control-Allow-Origin") == ["*"]
            assert len(answer.headers.getall("Cache-Control", [])) <= 1
            return answer, await answer.read()

    async def figures(self) -> dict[str, int]:
        async with self.edge.publisher.get("http://edge/status") as answer:
            found: dict[str, int] = await answer.json()
            return found


@contextlib.asynccontextmanager
async def running_video_edge(
    servers: RunningServers, *, told: bool = True, **changes: Any
) -> AsyncIterator[VideoEdge]:
    """An edge, a bucket and a recorder; `changes` are fields of EdgeNginx."""
    base = servers.settings(s3_bucket="test-edge")
    url = urlsplit(base.s3_endpoint)
    assert url.hostname is not None and url.port is not None
    wire = Wire((url.hostname, url.port))
    await wire.start()
    async with running_edge(**changes) as edge, open_storage(base) as storage:
        await storage.ensure_bucket()
        recorder = Recorder()
        await recorder.start(edge)
        settings = base.model_copy(update={"s3_endpoint": wire.url})
        videos = VideoEdge(edge, settings, storage, recorder, wire)
        if told:
            await videos.tell()
        try:
            yield videos
        finally:
            await recorder.stop()
            await wire.stop()
