"""Carrying out a cut: load what its plan needs, encode the ends, store what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from core.errors import NotFound, Unavailable
from core.logs import logger
from core.storage import Storage
from recorder import ends
from recorder.cutting import plan
from recorder.fmp4 import read_init, read_segment
from recorder.pieces import (
    SECOND,
    Anchor,
    Copy,
    Encode,
    Loaded,
    NothingThereError,
    Piece,
    Plan,
    Refer,
    Slot,
)
from recorder.timeline import Entry

log = logger(__name__)

#: Cuts whose ends this process encodes at the same time; more would only make all of them late.
ENCODING_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Held:
    """A segment of a rendition and where it is: in the storage by `key`, or in `files` on this machine,
    which joined are the segment. The same of its initialization section.
    """

    entry: Entry
    init_key: str
    key: str | None = None
    files: tuple[Path, ...] = ()
    init_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """What a cut of one rendition has become: entries with keys in full, from 0 on."""

    entries: tuple[Entry, ...]
    plan: Plan
    #: (initialization section, segment) of what was made, by key: for whoever needs it next.
    made: dict[str, tuple[bytes, bytes]]
    #: Numbers of the segments that it was cut from, first and last.
    first_msn: int
    last_msn: int

    @property
    def duration_s(self) -> float:
        return self.entries[-1].end_s


@dataclass(slots=True)
class _Job:
    """One cut on its way."""

    storage: Storage
    held: Sequence[Held]
    prefix: str
    loaded: dict[int, Loaded] = field(default_factory=dict)
    media: dict[int, bytes] = field(default_factory=dict)
    inits: dict[str, bytes] = field(default_factory=dict)
    own_inits: dict[bytes, str] = field(default_factory=dict)
    puts: list[tuple[str, bytes]] = field(default_factory=list)
    made: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)

    def slots(self) -> list[Slot]:
        """As the plan sees them. What was lost in between is passed over."""
        found: list[Slot] = []
        broken = False
        for number, held in enumerate(self.held):
            entry = held.entry
            lost = number > 0 and entry.msn != self.held[number - 1].entry.msn + 1
            broken = entry.discontinuity or lost
            start, end = round(entry.start_s * SECOND), round(entry.end_s * SECOND)
            found.append(Slot(entry.msn, start, end - start, held.init_key, broken))
        return found

    async def load(self, index: int) -> None:
        held = self.held[index]
        data, init = await asyncio.gather(
            _read(self.storage, held.key, held.files), self._init(held)
        )
        try:
            content = read_init(init)
            segment = await asyncio.to_thread(read_segment, content, data)
        except ValueError as error:
            raise Unavailable("A segment is unreadable.", code="clip_failed") from error
        self.media[index] = data
        self.loaded[index] = Loaded(content, segment)

    async def _init(self, held: Held) -> bytes:
        if held.init_key not in self.inits:
            files = (held.init_file,) if held.init_file is not None else ()
            key = None if files else held.init_key
            self.inits[held.init_key] = await _read(self.storage, key, files)
        return self.inits[held.init_key]

    # What a piece becomes: the keys of its segment and of its initialization section, and its size

    async def refer(self, piece: Refer, number: int) -> tuple[str, str, int]:
        held = self.held[piece.index]
        if held.key is not None:
            return held.key, held.init_key, held.entry.size
        if piece.index not in self.media:
            await self.load(piece.index)
        return self._take(held, number, self.media[piece.index])

    def copy(self, piece: Copy, number: int) -> tuple[str, str, int]:
        held = self.held[piece.index]
        made = ends.copy(piece, self.loaded[piece.index].init)
        return self._take(held, number, made.data)

    def _take(self, held: Held, number: int, data: bytes) -> tuple[str, str, int]:
        """Keep a segment of the video's own configuration."""
        init = self.inits[held.init_key]
        if any(each.key is not None and each.init_key == held.init_key for each in self.held):
            # Stored with a segment that this one goes on with.
            return self._keep(number, data, init, held.init_key)
        return self._keep(number, data, init)

    async def encode(self, piece: Encode, number: int, program: str) -> tuple[str, str, int]:
        made = await ends.encode(program, piece, self.loaded[piece.index].init)
        return self._keep(number, made.data, made.init or b"")

    def _keep(
        self, number: int, data: bytes, init: bytes, init_key: str | None = None
    ) -> tuple[str, str, int]:
        """Store a segment of our own, and its initialization section unless that is stored."""
        key = f"{self.prefix}/{number}.m4s"
        self.puts.append((key, data))
        if init_key is None:
            init_key = self.own_inits.get(init)
        if init_key is None:
            init_key = f"{self.prefix}/init-{len(self.own_inits)}.mp4"
            self.own_inits[init] = init_key
            self.puts.append((init_key, init))
        self.made[key] = (init, data)
        return key, init_key, len(data)


async def _read(storage: Storage, key: str | None, files: Sequence[Path]) -> bytes:
    if files:
        try:
            return await asyncio.to_thread(lambda: b"".join(file.read_bytes() for file in files))
        except OSError:
            # Stored and cleared away in the meantime.
            if key is None:
                raise NotFound("A segment has just been moved.", code="segment_moved") from None
    if key is None:
        raise NotFound("A segment is nowhere.", code="segment_moved")
    return await storage.get(key)


class Cutter:
    """Cuts renditions."""

    def __init__(self, storage: Storage, program: str) -> None:
        self._storage = storage
        self._program = program
        self._places = asyncio.Semaphore(ENCODING_AT_ONCE)

    async def cut(
        self,
        held: Sequence[Held],
        start_s: float,
        end_s: float,
        prefix: str,
        anchors: Sequence[Anchor] = (),
    ) -> Cut:
        """Cut from `start_s` to `end_s`; what is new is stored below `prefix`.

        `anchors` are of the source's cut when this is another rendition. Raises NotFound
        (`not_recorded`: there is nothing; `segment_moved`: ask anew what is held), Unavailable.
        """
        job = _Job(self._storage, held, prefix)
        made = await self._plan(job, round(start_s * SECOND), round(end_s * SECOND), anchors)
        async with self._places:
            placed = await asyncio.gather(
                *(self._place(job, piece, number + 1) for number, piece in enumerate(made.pieces))
            )
        await self._store(job.puts)
        cut_from = [held[piece.index].entry.msn for piece in made.pieces]
        return Cut(_entries(job, made, placed), made, job.made, min(cut_from), max(cut_from))

    async def _store(self, puts: Sequence[tuple[str, bytes]]) -> None:
        """Store them. None is on its way any more when this ends, so that all can be cleared away."""
        storing = [asyncio.create_task(self._storage.put(key, data)) for key, data in puts]
        settled = asyncio.gather(*storing, return_exceptions=True)
        try:
            results = await asyncio.shield(settled)
        except asyncio.CancelledError:
            await settled
            raise
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _plan(self, job: _Job, start: int, end: int, anchors: Sequence[Anchor]) -> Plan:
        slots = job.slots()
        while True:
            try:
                answer = await asyncio.to_thread(plan, slots, job.loaded, start, end, anchors)
            except NothingThereError as error:
                raise NotFound("Nothing of this is recorded.", code="not_recorded") from error
            if isinstance(answer, Plan):
                return answer
            await asyncio.gather(*(job.load(index) for index in answer.indexes))

    async def _place(self, job: _Job, piece: Piece, number: int) -> tuple[str, str, int]:
        if isinstance(piece, Refer):
            return await job.refer(piece, number)
        if isinstance(piece, Copy):
            return job.copy(piece, number)
        return await job.encode(piece, number, self._program)


def _entries(job: _Job, made: Plan, placed: Sequence[tuple[str, str, int]]) -> tuple[Entry, ...]:
    slots = job.slots()
    entries: list[Entry] = []
    at = 0
    before = -1
    for number, (piece, (key, init_key, size)) in enumerate(zip(made.pieces, placed, strict=True)):
        slot, held = slots[piece.index], job.held[piece.index]
        duration = slot.duration if isinstance(piece, Refer) else piece.duration
        start = slot.start if isinstance(piece, Refer) else piece.start
        breaks = (
            any(s.discontinuity for s in slots[before + 1 : piece.index + 1]) if number else False
        )
        breaks = breaks or (number > 0 and init_key != entries[-1].init)
        pdt = held.entry.pdt + timedelta(microseconds=start - slot.start)
        entries.append(
            Entry(
                number + 1, at / SECOND, duration / SECOND, size, init_key, breaks, pdt, key
            )
        )  # fmt: skip
        at += duration
        before = piece.index
    return tuple(entries)


async def clear(storage: Storage, prefix: str) -> bool:
    """Remove everything below `prefix`; False when the storage does not answer."""
    try:
        await storage.delete(*(item.key for item in await storage.list(f"{prefix}/")))
    except Unavailable as error:
        log.warning("cut_not_cleared", prefix=prefix, reason=error.message)
        return False
    return True
