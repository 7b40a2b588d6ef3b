"""What the edges are told: a mirror of our desired state, kept true over one connection an edge.

`EdgeLink.put` only notes what a path should hold and writes it out at once when the edge keeps up.
While it does not, newer content replaces older content that has not left yet, so a slow or absent edge
costs one copy of the latest state and never delays the packager. An edge that lost its memory shows
another `X-Edge-Boot` and is given everything again.

The HTTP/1.1 client is our own, ten times a second and stream being what it is for: requests are
pipelined and answers are matched in order (RFC 9112 9.3.2), about 30 µs each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from core.errors import Unavailable
from core.logs import logger

log = logger(__name__)

#: Requests under way at once; beyond them content waits here, where it can still be replaced.
PIPELINE = 64
RECONNECT_S = 0.1
#: An edge that owes an answer this long is taken for frozen and dialled anew.
PATIENCE_S = 3.0
RETRY_S = 0.5
TOLD = "/told"
MAX_HEAD = 16 * 1024
MAX_BODY = 4 * 1024 * 1024


class ResponseError(ValueError):
    """The edge sent something that is no HTTP/1.1 response we can follow."""


@dataclass(slots=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def closes(self) -> bool:
        """The last response on its connection."""
        return self.headers.get("connection", "").lower() == "close"


class ResponseParser:
    """HTTP/1.1 responses out of bytes in any chunking; bodies by Content-Length only."""

    def __init__(self) -> None:
        self._data = b""
        self._head: Response | None = None
        self._length = 0

    def feed(self, data: bytes) -> list[Response]:
        """Responses that `data` completes. Raises ResponseError."""
        self._data = self._data + data if self._data else data
        found: list[Response] = []
        while True:
            if self._head is None and not self._read_head():
                return found
            head = self._head
            if head is None or len(self._data) < self._length:
                return found
            head.body, self._data = self._data[: self._length], self._data[self._length :]
            self._head = None
            found.append(head)

    def _read_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > MAX_HEAD:
                raise ResponseError("endless head")
            return False
        lines = self._data[:end].decode("latin-1").split("\r\n")
        self._data = self._data[end + 4 :]
        version, _, rest = lines[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ResponseError("no status line")
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            raise ResponseError("no usable Content-Length")
        self._length = int(length)
        self._head = Response(int(rest[:3]), headers)
        return True


@dataclass(slots=True)
class _Request:
    """One request under way. `path` is set for mirrored content, `answer` for a question."""

    data: bytes
    path: str | None
    sent_at: float = 0.0
    answer: asyncio.Future[Response] | None = None


@dataclass(slots=True)
class _Mirror:
    """Desired content per path, as ready-made requests, and which of it the edge may not have."""

    wanted: dict[str, bytes] = field(default_factory=dict)
    dirty: dict[str, None] = field(default_factory=dict)

    def put(self, path: str, request: bytes) -> None:
        self.wanted[path] = request
        self.dirty[path] = None

    def drop(self, path: str) -> None:
        self.wanted.pop(path, None)
        self.dirty.pop(path, None)

    def resend_all(self) -> None:
        self.dirty = dict.fromkeys(self.wanted)


def render(
    method: str, path: str, body: bytes | str = b"", headers: Mapping[str, object] | None = None
) -> bytes:
    """One HTTP/1.1 request."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"{method} {path} HTTP/1.1", "Host: edge", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class EdgeLink(asyncio.Protocol):
    """The connection to one edge and the mirror of what it should know.

    `on_latency` is given the seconds each mirrored request took.
    """

    def __init__(self, address: str, on_latency: Callable[[float], None]) -> None:
        self.address = address
        self.boot: str | None = None
        self._mirror = _Mirror()
        self._on_latency = on_latency
        self._transport: asyncio.Transport | None = None
        self._parser = ResponseParser()
        self._flying: deque[_Request] = deque()
        self._questions: deque[_Request] = deque()
        self._paused = False
        self._pump_due = False
        self._lost = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._transport is not None

    # What others say

    def put(
        self, path: str, body: bytes | str, headers: Mapping[str, object] | None = None
    ) -> None:
        """`path` should hold `body` from now on. Returns at once."""
        self._mirror.put(path, render("PUT", path, body, headers))
        self._pump_soon()

    def delete(self, path: str, *covers: str) -> None:
        """`path`, and with it whatever stood under the paths in `covers`, should be gone."""
        for gone in covers:
            self._mirror.drop(gone)
        self._mirror.put(path, render("DELETE", path))
        self._pump_soon()

    async def get(self, path: str) -> Any:
        """Ask the edge; the JSON it answers. Raises Unavailable."""
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._questions.append(_Request(render("GET", path), None, answer=answer))
        self._pump()
        try:
            async with asyncio.timeout(PATIENCE_S):
                response = await answer
        except TimeoutError as error:
            raise Unavailable("The edge does not answer.") from error
        if response.status != 200:
            raise Unavailable(f"The edge answered {response.status}.")
        return json.loads(response.body)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        try:
            while True:
                self._lost.clear()
                try:
                    await self._connect()
                except OSError:
                    await asyncio.sleep(RECONNECT_S)
                    continue
                await self._watch()
        finally:
            self._disconnect()

    # The connection

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        if self.address.startswith("unix:"):
            path = self.address.removeprefix("unix:")
            await loop.create_unix_connection(lambda: self, path)
        else:
            url = urlsplit(self.address)
            await loop.create_connection(lambda: self, url.hostname or "", url.port or 80)

    async def _watch(self) -> None:
        """Until the connection is lost; a frozen edge loses it here."""
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), PATIENCE_S / 3)
            if self._flying and time.monotonic() - self._flying[0].sent_at > PATIENCE_S:
                log.warning("edge_frozen", edge=self.address)
                self._disconnect()
            self._pump()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._parser = ResponseParser()
        self._paused = False
        # Whether it still has its memory shows in any answer.
        self._flying.append(_Request(render("GET", "/status"), None, time.monotonic()))
        self._transport.write(self._flying[0].data)  # type: ignore[union-attr]
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for request in self._flying:
            if request.path is not None and request.path in self._mirror.wanted:
                self._mirror.dirty.setdefault(request.path)
            elif request.answer is not None and not request.answer.done():
                request.answer.set_exception(Unavailable("The edge went away."))
        self._flying.clear()
        self._lost.set()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pump()

    def data_received(self, data: bytes) -> None:
        try:
            responses = self._parser.feed(data)
        except ResponseError as error:
            log.error("edge_speaks_nonsense", edge=self.address, error=str(error))
            self._disconnect()
            return
        for response in responses:
            if not self._flying:
                self._disconnect()
                return
            self._answered(self._flying.popleft(), response)
            if response.closes:
                # nginx ends a connection after so many requests; what it did not answer goes again.
                self._disconnect()
                return
        self._pump()

    def _answered(self, request: _Request, response: Response) -> None:
        boot = response.headers.get("x-edge-boot")
        if boot and boot != self.boot:
            if self.boot is not None:
                log.warning("edge_forgot_everything", edge=self.address)
            self.boot = boot
            self._tell_everything()
        if request.answer is not None:
            if not request.answer.done():
                request.answer.set_result(response)
            return
        if request.path is None:
            return
        self._on_latency(time.monotonic() - request.sent_at)
        if response.status >= 500:
            log.error("edge_refused", edge=self.address, path=request.path, status=response.status)
            asyncio.get_running_loop().call_later(RETRY_S, self._again, request)
        elif response.status >= 400:
            log.error("edge_rejected", edge=self.address, path=request.path, status=response.status)
        elif self._mirror.wanted.get(request.path) is request.data and request.data[:3] == b"DEL":
            # Gone for good; an edge that forgets has nothing to delete either.
            self._mirror.drop(request.path)

    def _tell_everything(self) -> None:
        """Say all of it again, and that it is all: until then the edge holds who asks for more."""
        self._mirror.drop(TOLD)
        self._mirror.resend_all()
        self._mirror.put(TOLD, render("PUT", TOLD))

    def _again(self, request: _Request) -> None:
        if request.path is not None and self._mirror.wanted.get(request.path) is request.data:
            self._mirror.dirty.setdefault(request.path)
            self._pump()

    def _disconnect(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _pump_soon(self) -> None:
        """Write once for all that is said before the event loop's next round."""
        if not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Write what waits, as far as the edge keeps up."""
        self._pump_due = False
        transport, mirror = self._transport, self._mirror
        if transport is None or self._paused:
            return
        now = time.monotonic()
        requests: list[bytes] = []
        while len(self._flying) < PIPELINE:
            if self._questions:
                request = self._questions.popleft()
            elif mirror.dirty:
                path = next(iter(mirror.dirty))
                del mirror.dirty[path]
                request = _Request(mirror.wanted[path], path)
            else:
                break
            request.sent_at = now
            self._flying.append(request)
            requests.append(request.data)
        if requests:
            transport.write(b"".join(requests))


class Edges:
    """All edges of this installation, told the same."""

    def __init__(self, addresses: list[str], on_latency: Callable[[float], None]) -> None:
        self.links = [EdgeLink(address, on_latency) for address in addresses]

    @property
    def connected(self) -> bool:
        """Whether viewers can be told anything at all."""
        return any(link.connected for link in self.links)

    def put(
        self, path: str, body: bytes | str, headers: Mapping[str, object] | None = None
    ) -> None:
        for link in self.links:
            link.put(path, body, headers)

    def delete(self, path: str, *covers: str) -> None:
        for link in self.links:
            link.delete(path, *covers)

    async def run(self) -> None:
        """Stay connected to all of them until cancelled."""
        async with asyncio.TaskGroup() as group:
            for link in self.links:
                group.create_task(link.run(), name=f"edge-{link.address}")

    async def viewers(self) -> dict[str, int]:
        """Viewers per session over all edges. Raises Unavailable when one does not answer."""
        total: dict[str, int] = {}
        for link in self.links:
            answer = await link.get("/viewers")
            for session, count in answer["sessions"].items():
                total[session] = total.get(session, 0) + int(count)
        return total
