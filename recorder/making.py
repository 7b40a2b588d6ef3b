"""The renditions of an upload while they are made: out of ffmpeg's pipes, segment by segment, into the storage."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.errors import DomainError
from core.logs import logger
from core.storage import Storage
from recorder.encoding import Plan
from recorder.probe import Probe, check_length
from recorder.refusals import Refused
from recorder.splitter import Assembler, Splitter, codecs
from recorder.timeline import Entry
from recorder.workers import Task

log = logger(__name__)

AUDIO = "audio"
#: Of the way: fetching, then encoding.
FETCHED = 0.1
#: Segments of one rendition that are on their way to the storage; more make ffmpeg wait.
AT_ONCE = 4
READ_BYTES = 256 * 1024
#: Numbers of an attempt's segments; no video of ours has as many.
ATTEMPT_SEGMENTS = 1_000_000
#: For objects on their way when an attempt is given up.
PATIENCE_S = 10.0


@dataclass
class Rendition:
    """One rendition as far as it is made."""

    name: str
    codecs: str = ""
    entries: list[Entry] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        """Its length so far."""
        return self.entries[-1].end_s if self.entries else 0.0


class Making:
    """The renditions of one attempt while they are made."""

    def __init__(
        self,
        storage: Storage,
        task: Task,
        video_id: int,
        created_at: datetime,
        found: Probe,
        planned: Plan,
    ) -> None:
        self.task = task
        self.probe = found
        self.plan = planned
        self._storage = storage
        self._video_id = video_id
        self._created_at = created_at
        self._first = task.work.generation * ATTEMPT_SEGMENTS
        self._init_name = f"init-{task.work.generation}.mp4"
        # Called with how many seconds of the best rendition there are.
        self.on_seconds: Callable[[float], None] = lambda _seconds: None
        self._stored: set[str] = set()
        self._left: set[asyncio.Task[None]] = set()
        self._renditions = {name: Rendition(name) for name in planned.names}
        if planned.rungs and planned.has_sound:
            self._renditions[AUDIO] = Rendition(AUDIO)

    @property
    def seconds(self) -> float:
        """How much the best rendition has."""
        return self._renditions[self.plan.names[0]].end_s

    def finished(self) -> list[Rendition]:
        """All of them, in the order of the plan. Raises Refused when something is missing."""
        found = [each for each in self._renditions.values() if each.entries]
        lengths = {round(each.end_s) for each in found if each.name != AUDIO}
        if len(lengths) > 1 or not all(self._renditions[name].entries for name in self.plan.names):
            raise Refused("unreadable", "This file could not be decoded to its end.")
        return found

    async def read(self, name: str, pipe: int) -> None:
        """Store what comes out of a rendition's pipe, which is this task's to close."""
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(limit=READ_BYTES)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(pipe, "rb", 0)
        )
        splitter = Splitter()
        assembler: Assembler | None = None
        storing: set[asyncio.Task[None]] = set()
        try:
            while data := await stream.read(READ_BYTES):
                for segment in splitter.feed(data):
                    if assembler is None:
                        assembler = await self._begin(name, splitter.init)
                    while len(storing) >= AT_ONCE:
                        storing = await _settled(storing, asyncio.FIRST_COMPLETED)
                    puts = await asyncio.to_thread(self._take, name, assembler, segment)
                    storing |= {asyncio.create_task(self._put(*put)) for put in puts}
                    self._tell(name)
            if storing:
                await _settled(storing, asyncio.ALL_COMPLETED)
        except ValueError as error:
            raise Refused("unreadable", "This file could not be encoded.") from error
        finally:
            transport.close()
            self._left |= storing

    async def discard(self) -> None:
        """Leave nothing of an attempt that was given up."""
        if self._left:
            # One that is on its way cannot be called back.
            await asyncio.wait(self._left, timeout=PATIENCE_S)
        try:
            await self._storage.delete(*self._stored)
        except DomainError as error:
            # It goes with the next attempt, or with the video.
            log.warning("attempt_stays", job=self.task.work.id, reason=error.message)

    async def _put(self, key: str, data: bytes) -> None:
        self._stored.add(key)
        await self._storage.put(key, data)

    async def _begin(self, name: str, init: bytes) -> Assembler:
        assembler = Assembler(init)
        self._renditions[name].codecs = codecs(assembler.init)
        await self._put(self._key(name, self._init_name), init)
        if self._has_sibling(name) and assembler.sound_init:
            self._renditions[AUDIO].codecs = "mp4a.40.2"
            await self._put(self._key(AUDIO, self._init_name), assembler.sound_init)
        return assembler

    def _has_sibling(self, name: str) -> bool:
        """The sound alone is made of the best rendition's segments, so that they are cut alike."""
        return name == self.plan.names[0] and AUDIO in self._renditions

    def _key(self, rendition: str, file: str) -> str:
        return f"videos/{self._video_id}/{rendition}/{file}"

    def _take(self, name: str, assembler: Assembler, segment: bytes) -> list[tuple[str, bytes]]:
        """A segment into the timeline: the objects to store for it."""
        sound, length_s = assembler.take(segment)
        puts = [self._add(name, segment, length_s)]
        if self._has_sibling(name) and sound:
            puts.append(self._add(AUDIO, sound, length_s))
        return puts

    def _add(self, name: str, data: bytes, length_s: float) -> tuple[str, bytes]:
        rendition = self._renditions[name]
        msn = self._first + len(rendition.entries)
        wall = self._created_at + timedelta(seconds=rendition.end_s)
        rendition.entries.append(
            Entry(msn, rendition.end_s, length_s, len(data), self._init_name, False, wall)
        )
        return self._key(name, f"{msn}.m4s"), data

    def _tell(self, name: str) -> None:
        if name != self.plan.names[0]:
            return
        check_length(self.seconds)
        self.on_seconds(self.seconds)
        if self.probe.duration_s:
            share = min(1.0, self.seconds / self.probe.duration_s)
            self.task.progress = FETCHED + (0.99 - FETCHED) * share


async def _settled(tasks: set[asyncio.Task[None]], when: str) -> set[asyncio.Task[None]]:
    """Wait for some of `tasks`: those that are left. Raises what one of them did."""
    done, left = await asyncio.wait(tasks, return_when=when)
    for task in done:
        task.result()
    return left
