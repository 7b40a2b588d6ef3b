"""The inputs of one session, one after another: subscribed, drained, explained, started again.

There is a new input after a reconnect, a takeover, or when a worker died. Each waits until the one
before it is drained and its last part published, so that the packager sees them in order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from core.errors import Unavailable
from core.logs import logger
from ingest.kit import Kit, Verdict
from ingest.tags import TagScanner
from ingest.tasks import Tasks
from ingest.worker import Worker

log = logger(__name__)

#: A worker that has not subscribed by then will not.
SUBSCRIBE_S = 5.0
#: How long the last packets may take from nginx through ffmpeg to us once the publisher is gone.
DRAIN_S = 0.3
#: An input that ends is given this long for the hook that explains it.
EXPLAIN_S = 0.5
#: Restarts of a worker within a minute; beyond them the publisher is dropped instead.
MAX_RESTARTS = 5
RESTART_WINDOW_S = 60.0
#: An input that was heard of so lately is there, whatever else is not.
FLOWING_S = 3.0


@dataclass(slots=True)
class Input:
    """One subscription. `over` once the session has let go of it, `closed` once it is published.

    `failed`: the packager cannot use what it sends; the rest of it is thrown away.
    """

    name: str
    worker: Worker
    scanner: TagScanner = field(default_factory=TagScanner)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    failed: bool = False


@dataclass(slots=True)
class Starting:
    """A worker whose process is being made: what nginx and the session have said of it meanwhile."""

    client: int | None = None
    over: bool = False


class Inputs:
    """The subscriptions of one session.

    `on_data(input, bytes)` gets the packets of the input whose turn it is, `on_closed()` is awaited
    when that one is over, before the next begins. `can_join_late` says whether a worker that
    subscribes in mid-stream would be given the codec headers.
    """

    def __init__(
        self,
        kit: Kit,
        session: str,
        *,
        on_data: Callable[[Input, bytes], None],
        on_closed: Callable[[], Awaitable[None]],
        can_join_late: Callable[[], bool],
    ) -> None:
        self.transcode_audio = False
        self._kit = kit
        self._session = session
        self._on_data = on_data
        self._on_closed = on_closed
        self._can_join_late = can_join_late
        self._queue: deque[Input] = deque()
        self._starting: dict[str, Starting] = {}
        self._restarts: deque[float] = deque()
        self._heard_at = 0.0
        self._ending = False
        self._tasks = Tasks()

    @property
    def current(self) -> Input | None:
        """The input whose turn it is."""
        return self._queue[0] if self._queue else None

    def flowing(self, now: float) -> str | None:
        """The name of the input whose media arrived in the last seconds."""
        current = self.current
        if current is None or now - self._heard_at > FLOWING_S:
            return None
        return current.name

    # Subscribing

    async def connect(self, name: str) -> None:
        """Subscribe to the stream `name` and return once nginx will send it everything.

        Raises Unavailable.
        """
        if self._ending:
            raise Unavailable("The stream has ended.")
        worker, starting = await self._start(name)
        source = Input(name, worker)
        if starting.client is not None:
            worker.joins(starting.client)
        if starting.over or self._ending:
            source.over.set()
        self._queue.append(source)
        self._tasks.spawn(self._run(source), f"input-{name}")
        try:
            async with asyncio.timeout(SUBSCRIBE_S):
                await self._subscribed(worker)
        except (TimeoutError, Unavailable) as error:
            log.error("subscribe_failed", session=self._session, stderr=list(worker.child.tail))
            source.over.set()
            raise Unavailable("The media worker could not subscribe.") from error

    async def _start(self, name: str) -> tuple[Worker, Starting]:
        # On a busy machine ffmpeg is at nginx's door before we hear that it has been started.
        starting = self._starting[name] = Starting()
        try:
            worker = await Worker.start(
                self._kit.launcher,
                self._kit.settings.ingest_pull_url,
                name,
                self._data,
                transcode_audio=self.transcode_audio,
                on_late_track=lambda: self._late_track(name),
            )
        except OSError as error:
            raise Unavailable("The media worker could not be started.") from error
        finally:
            del self._starting[name]
        return worker, starting

    async def _subscribed(self, worker: Worker) -> None:
        """`on_play` says that the worker is about to join; /stat that it has."""
        joined = asyncio.ensure_future(worker.subscribed.wait())
        ended = asyncio.ensure_future(worker.ended.wait())
        try:
            await asyncio.wait((joined, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            joined.cancel()
            ended.cancel()
        while not worker.ended.is_set():
            stat = await self._kit.nginx.stat()
            if worker.client in stat.players.get(worker.name, ()):
                return
            # nginx has our answer to on_play but has not acted on it yet.
            await asyncio.sleep(0.002)
        raise Unavailable("The media worker ended.")

    def subscriber(self, name: str, client: int) -> bool:
        """Somebody asks to play `name`: whether that is our worker."""
        for source in self._queue:
            if source.name == name and not source.worker.subscribed.is_set():
                source.worker.joins(client)
                return True
        starting = self._starting.get(name)
        if starting is None or starting.client is not None:
            return False
        starting.client = client
        return True

    # Running

    def _data(self, data: bytes) -> None:
        # Only the first in the queue has been opened.
        self._heard_at = time.monotonic()
        self._on_data(self._queue[0], data)

    async def _run(self, source: Input) -> None:
        """From its turn to its end."""
        worker = source.worker
        try:
            while self._queue[0] is not source:
                await self._queue[0].closed.wait()
            if not source.over.is_set():
                worker.open()
                await self._until_over(source)
                await worker.drain(DRAIN_S)
        finally:
            await worker.close()
        await self._on_closed()
        source.over.set()
        self._queue.remove(source)
        source.closed.set()

    async def _until_over(self, source: Input) -> None:
        """Until the session lets go of the input, or the worker has ended without a reason."""
        over = asyncio.ensure_future(source.over.wait())
        ended = asyncio.ensure_future(source.worker.ended.wait())
        try:
            await asyncio.wait((over, ended), return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                return
            if await source.worker.child.wait() == 0:
                # nginx tells of a publisher's end twice, to ffmpeg and by hook.
                await asyncio.wait((over,), timeout=EXPLAIN_S)
        finally:
            over.cancel()
            ended.cancel()
        if not source.over.is_set():
            await self._explain(source)

    async def _explain(self, source: Input) -> None:
        """A worker ended and no hook said why: did it crash, or is the publisher gone?"""
        try:
            there = source.name in (await self._kit.nginx.stat()).publishers
        except Unavailable:
            there = False
        if source.over.is_set():
            return
        if not there:
            self._kit.host.lost(source.name)
            return
        status = await source.worker.close()
        stderr = list(source.worker.child.tail)[-5:]
        log.warning("worker_died", session=self._session, status=status, stderr=stderr)
        self.restart(source, "worker_died", "The media worker failed.")

    def detach(self, name: str) -> None:
        """The publisher of `name` is gone, or no longer wanted."""
        if starting := self._starting.get(name):
            starting.over = True
        for source in self._queue:
            if source.name == name:
                source.over.set()

    # Starting again

    def restart(self, source: Input, code: str, message: str) -> None:
        """Subscribe to the same publisher once more; where that is of no use, have it reconnect."""
        self._kit.metrics.worker_restarts.labels("source").inc()
        now = time.monotonic()
        while self._restarts and self._restarts[0] < now - RESTART_WINDOW_S:
            self._restarts.popleft()
        self._restarts.append(now)
        if not self._can_join_late() or len(self._restarts) > MAX_RESTARTS:
            # nginx keeps no codec headers of Enhanced RTMP: only the encoder can send them again.
            self._kit.host.unusable(source.name, Verdict.DROP, code, message)
            return
        source.over.set()
        self._tasks.spawn(self._reconnect(source.name), f"restart-{source.name}")

    async def _reconnect(self, name: str) -> None:
        try:
            await self.connect(name)
        except Unavailable as error:
            self._kit.host.unusable(name, Verdict.DROP, "worker_died", error.message)

    def _late_track(self, name: str) -> None:
        """Sound (or picture) began after the worker had settled: only a new one takes it in."""
        source = self.current
        if source is None or source.name != name or source.over.is_set():
            return
        log.info("late_track", session=self._session)
        self.restart(source, "late_track", "Sound or picture began late.")

    # The end

    def end(self) -> None:
        """No publisher will come any more."""
        self._ending = True
        for source in self._queue:
            source.over.set()

    async def wait(self) -> None:
        """Until every input is closed."""
        while self._queue:
            await self._queue[-1].closed.wait()

    async def close(self) -> None:
        """Kill the workers, publish nothing more."""
        await self._tasks.close()
