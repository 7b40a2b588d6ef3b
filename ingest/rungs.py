"""The ladder of one session: planned once, fed with a copy of the source, thinned when it is too slow.

Rungs are fixed for a session, because players read the multivariant playlist once. One that cannot
keep up is ended for good; the others go on in a new transcoder from the source's last keyframe.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from core.logs import logger
from core.rungs import Rung
from ingest.kit import Kit
from ingest.ladder import Pace, plan
from ingest.packager import Event, LiveStream, SourceInfo
from ingest.tags import Replay, Tag, TagError, TagScanner
from ingest.tasks import Tasks
from ingest.transcoder import Transcoder

log = logger(__name__)

#: Transcoders that die within a minute before the whole ladder is given up.
MAX_FAILURES = 3
FAILURE_WINDOW_S = 60.0


class Rungs:
    """Which rungs a session has, and the transcoder that makes them."""

    def __init__(
        self,
        kit: Kit,
        session: str,
        live: LiveStream,
        handle: Callable[[list[Event]], None],
        now: Callable[[], datetime],
    ) -> None:
        self.missing = ""
        self._kit = kit
        self._session = session
        self._live = live
        self._handle = handle
        self._now = now
        self._rungs: list[Rung] = []
        self._planned = False
        self._has_audio = True
        self._transcoder: Transcoder | None = None
        self._starting = False
        self._scanners: dict[str, TagScanner] = {}
        self._times: dict[str, int] = {}
        self._paces: dict[str, Pace] = {}
        self._source_time = 0
        self._failures: deque[float] = deque()
        self._tasks = Tasks()

    @property
    def wanted(self) -> bool:
        """Whether the source has to be kept for a transcoder."""
        return not self._planned or bool(self._rungs)

    def describe(self) -> list[dict[str, Any]]:
        """The rungs as the database and the page name them."""
        return [
            {"name": r.name, "width": r.width, "height": r.height, "transcoded": True}
            for r in self._rungs
        ]

    def shrunk(self, before: str | None, after: str) -> bool:
        """Whether a multivariant playlist lacks a rung that will be back in a moment."""
        names = [f"/{rung.name}/" for rung in self._rungs]
        return before is not None and any(n in before and n not in after for n in names)

    def plan(self, info: SourceInfo) -> None:
        """Decide on the rungs when the source is known for the first time."""
        self._has_audio = bool(info.audio)
        if self._planned:
            return
        self._planned = True
        machine, setting = self._kit.machine, self._kit.current.now.ladder
        headroom = machine.headroom()
        chosen = plan(setting, info, headroom, machine.abilities.core_s_per_mpx)
        machine.promise(chosen.cost)
        self._rungs = list(chosen.rungs)
        self.missing = chosen.missing
        for rung in self._rungs:
            self._live.add_rendition(rung.name)
        log.info(
            "ladder_planned",
            session=self._session,
            rungs=[rung.name for rung in self._rungs],
            cores=round(chosen.cost, 2),
            idle=round(headroom.idle, 2),
        )

    def remember(self) -> list[dict[str, Any]] | None:
        """The rungs as JSON, None before they are planned."""
        return [asdict(rung) for rung in self._rungs] if self._planned else None

    def recall(self, rungs: list[dict[str, Any]] | None, missing: str) -> None:
        """Go on with the rungs that an earlier life of this process had planned."""
        self._planned = rungs is not None
        self._rungs = [Rung(**rung) for rung in rungs or ()]
        self.missing = missing

    # The source passes by

    def source(self, header: bytes, tags: list[Tag], replay: Replay) -> None:
        """Pass whole tags of the source on; the first to come after a keyframe start the ladder."""
        if tags:
            self._source_time = max(self._source_time, tags[-1].time)
        if self._transcoder is not None:
            self._transcoder.write(b"".join(tag.data for tag in tags))
        elif self._planned and self._rungs and not self._starting and replay.gop():
            self._starting = True
            self._tasks.spawn(self._start(header, replay), f"ladder-{self._session}")

    async def _start(self, header: bytes, replay: Replay) -> None:
        try:
            transcoder = await Transcoder.start(
                self._kit.launcher,
                self._rungs,
                self._on_data,
                encoder=self._kit.machine.abilities.encoder,
                has_audio=self._has_audio,
                name=self._session,
            )
        except OSError as error:
            log.error("ladder_not_started", session=self._session, error=repr(error))
            self._starting = False
            self._failed()
            return
        if not self._starting:
            # The input ended meanwhile.
            await transcoder.close()
            return
        self._starting = False
        self._scanners = {rung.name: TagScanner() for rung in self._rungs}
        self._paces = {rung.name: Pace() for rung in self._rungs}
        self._times = dict.fromkeys(self._scanners, self._source_time)
        self._transcoder = transcoder
        transcoder.write(replay.prefix(header) + replay.gop())
        self._tasks.spawn(self._watch(transcoder), f"ladder-watch-{self._session}")

    def _on_data(self, name: str, data: bytes) -> None:
        scanner = self._scanners.get(name)
        if scanner is None:
            return
        try:
            for tag in scanner.feed(data):
                self._times[name] = tag.time
        except TagError:
            self._scanners.pop(name)
        self._handle(self._live.feed(name, data, self._now()))

    async def _watch(self, transcoder: Transcoder) -> None:
        """A transcoder that ends by itself is started again, from the latest keyframe."""
        await transcoder.ended.wait()
        if self._transcoder is not transcoder:
            return
        self._transcoder = None
        status = await transcoder.close()
        log.warning(
            "ladder_died",
            session=self._session,
            status=status,
            stderr=list(transcoder.child.tail)[-5:],
        )
        self._kit.metrics.worker_restarts.labels("ladder").inc()
        self._failed()

    def _failed(self) -> None:
        now = time.monotonic()
        while self._failures and self._failures[0] < now - FAILURE_WINDOW_S:
            self._failures.popleft()
        self._failures.append(now)
        self._cut()
        if len(self._failures) >= MAX_FAILURES:
            for rung in list(self._rungs):
                self._end(rung)

    def fail(self, name: str) -> None:
        """The packager cannot use what a rung's encoder wrote: start all of them anew."""
        if name in self._scanners and self._transcoder is not None:
            self._transcoder.ended.set()

    # Pace

    def check(self) -> None:
        """Look whether every rung keeps up; the costliest goes when one does not."""
        if self._transcoder is None or not self._rungs:
            self._kit.metrics.pace(self._session, None)
            return
        now = time.monotonic()
        slow = False
        for name, pace in self._paces.items():
            slow |= pace.update(now, self._source_time / 1000, self._times[name] / 1000)
        slowest = min(pace.speed for pace in self._paces.values())
        self._kit.metrics.pace(self._session, slowest)
        if slow:
            # One decoder and one pool of cores serve all: relief comes from the largest.
            self._kit.metrics.rungs_dropped.inc()
            largest = max(self._rungs, key=lambda rung: rung.width * rung.height)
            log.warning("rung_too_slow", session=self._session, rung=largest.name)
            transcoder, self._transcoder = self._transcoder, None
            self._tasks.spawn(transcoder.close(), f"ladder-close-{self._session}")
            self._cut()
            self._end(largest)

    def _cut(self) -> None:
        self._scanners.clear()
        for rung in self._rungs:
            self._handle(self._live.cut(self._now(), rung.name))

    def _end(self, rung: Rung) -> None:
        self._rungs.remove(rung)
        self._handle(self._live.end_rendition(rung.name, self._now()))

    # The end of an input

    async def finish(self, patience_s: float) -> None:
        """The source's input ended: publish what its transcoder still has."""
        self._starting = False
        self._kit.metrics.pace(self._session, None)
        transcoder = self._transcoder
        if transcoder is not None:
            # Its end is expected: not for `_watch` to mend.
            self._transcoder = None
            await transcoder.finish(patience_s)
        self._scanners.clear()
        self._source_time = 0

    async def close(self) -> None:
        """Stop at once."""
        self._kit.metrics.pace(self._session, None)
        transcoder, self._transcoder = self._transcoder, None
        if transcoder is not None:
            await transcoder.close()
        await self._tasks.close()
