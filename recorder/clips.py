"""Clips: short cuts that play at once and stay when their video goes.

A clip is made while its maker waits: the row first, then the objects, then the row says that it plays, with
the job that finishes it in the same transaction (`recorder.clip_jobs`). Whatever happens in between leaves
a row that still says `processing`; the sweep removes it with its objects.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from prometheus_client import Histogram
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from core.bus import Bus
from core.db.engine import Database
from core.db.models import Json
from core.db.video_models import Clip, ClipStatus
from core.errors import DomainError, Invalid, NotFound, Unavailable
from core.events import ClipReady, ClipRemoved, recorder_question
from core.holding import removal
from core.logs import logger
from core.metrics import Metrics
from core.outbox import emit
from core.storage import Storage
from recorder import jobs
from recorder.borrowed import left_over
from recorder.cuts import Cut, Cutter, clear
from recorder.jobs import Kind, Priority
from recorder.material import Facts, Material, Materials
from recorder.timeline import Timeline, bandwidth

log = logger(__name__)

SHORTEST_S, LONGEST_S = 5.0, 60.0
#: A cut may ask for so much more than there is: players round, and a live edge moves.
BEYOND_LIVE_S, BEYOND_S = 3.0, 0.5
#: How often one that has to be cut from segments that just moved is tried.
ATTEMPTS = 3
#: A clip that was not finished after so long never will be.
ABANDONED_S = 120.0
SWEEP_S = 30.0
SWEEP_BATCH = 100
FORWARD_TIMEOUT_S = 14.0
#: How often a clip that is already being made is looked at, seconds.
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for. `start_s` None: up to now. A `request_id` that came before: the same clip."""

    video_id: int
    start_s: float | None
    duration_s: float
    title: str
    creator_id: int
    request_id: str = ""

    @property
    def clip_id(self) -> str:
        """11 characters of base64url; the same for the same request of the same user."""
        if not self.request_id:
            return secrets.token_urlsafe(8)
        digest = hashlib.sha256(f"{self.creator_id}|{self.request_id}".encode()).digest()
        return base64.urlsafe_b64encode(digest[:8]).rstrip(b"=").decode()

    @classmethod
    def of(cls, question: Mapping[str, Any]) -> Wanted:
        """From a question. Raises Invalid (`clip_too_short`, `clip_too_long`)."""
        start = question.get("start_s")
        duration = round(float(question["duration_s"]), 1)
        if duration < SHORTEST_S:
            raise Invalid(
                f"A clip is at least {SHORTEST_S:.0f} seconds long.",
                code="clip_too_short", field="duration_s",
            )  # fmt: skip
        if duration > LONGEST_S:
            raise Invalid(
                f"A clip is at most {LONGEST_S:.0f} seconds long.",
                code="clip_too_long", field="duration_s",
            )  # fmt: skip
        return cls(
            int(question["video_id"]),
            None if start is None else round(float(start), 1),
            duration,
            str(question.get("title", "")),
            int(question["actor"]["id"]),
            str(question.get("request_id") or ""),
        )


def stretch(wanted: Wanted, end_s: float, *, live: bool) -> tuple[float, float]:
    """From where to where to cut a video that goes to `end_s`. Raises Invalid (`not_recorded`,
    `clip_too_short`).
    """
    if wanted.start_s is None:
        start = max(0.0, end_s - wanted.duration_s)
        end = end_s
    else:
        start, end = wanted.start_s, wanted.start_s + wanted.duration_s
    if end > end_s + (BEYOND_LIVE_S if live else BEYOND_S):
        raise Invalid(
            "The video does not go that far.", code="not_recorded", field="start_s"
        )  # fmt: skip
    end = min(end, end_s)
    if end - start < SHORTEST_S - 0.05:
        start = max(0.0, end - wanted.duration_s) if live else start
    if end - start < SHORTEST_S - BEYOND_S:
        raise Invalid(
            f"Only {end - start:.1f} seconds of this are recorded.",
            code="clip_too_short", field="duration_s",
        )  # fmt: skip
    return start, end


class Clips:
    """Makes, changes and removes them."""

    def __init__(
        self, database: Database, bus: Bus, storage: Storage, materials: Materials, cutter: Cutter,
        queue: jobs.Queue, metrics: Metrics,
    ) -> None:  # fmt: skip
        self._database = database
        self._bus = bus
        self._storage = storage
        self._materials = materials
        self._cutter = cutter
        self._queue = queue
        self._seconds = Histogram(
            "footlight_clip_seconds",
            "How long it took until a clip could be played, seconds.",
            buckets=(0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10),
            registry=metrics.registry,
        )

    async def respond(self, bus: Bus) -> None:
        """Answer from now on; of all that do, one gets each question."""
        # Side by side: each takes a second or two.
        await bus.respond(
            recorder_question("clip.create"), self.create, queue="recorder", lane=_alone
        )
        await bus.respond(self._subject_of(self._materials.node), self.create_here, lane=_alone)
        await bus.respond(recorder_question("clip.update"), self.update, queue="recorder")
        await bus.respond(recorder_question("clip.remove"), self.remove, queue="recorder")

    @staticmethod
    def _subject_of(node: str) -> str:
        return f"{recorder_question('clip.create')}.{node}"

    async def create(self, question: dict[str, Any]) -> dict[str, Any]:
        """{actor, video_id, start_s?, duration_s, title, request_id?} → {clip_id}, once it plays.

        Without `start_s` the clip goes up to what viewers see at this moment. Raises Invalid
        (`clip_too_short`, `clip_too_long`, `not_recorded`), NotFound, Conflict, Unavailable.
        """
        wanted = Wanted.of(question)
        video = await self._materials.video(wanted.video_id)
        if video.live and video.node and video.node != self._materials.node:
            # What is not stored yet lies on the machine that the stream is on.
            subject = self._subject_of(video.node)
            return await self._bus.request(subject, question, FORWARD_TIMEOUT_S)
        return {"clip_id": await self._create(wanted, video)}

    async def create_here(self, question: dict[str, Any]) -> dict[str, Any]:
        """The same, of a stream that is on this machine."""
        wanted = Wanted.of(question)
        return {"clip_id": await self._create(wanted, await self._materials.video(wanted.video_id))}

    async def _create(self, wanted: Wanted, video: Facts) -> str:
        began = time.monotonic()
        clip_id = wanted.clip_id
        if wanted.request_id and await self._made_before(clip_id):
            return clip_id
        material, (start, end) = await self._material(wanted, video)
        values = {
            "id": clip_id, "channel_id": video.channel_id, "video_id": video.id,
            "stream_id": video.stream_id, "creator_id": wanted.creator_id, "title": wanted.title,
            "status": ClipStatus.PROCESSING, "start_s": start, "duration_s": end - start,
        }  # fmt: skip
        statement = insert(Clip).values(values).on_conflict_do_nothing().returning(Clip.id)
        async with self._database.session() as session:
            mine = await session.scalar(statement) is not None
        if not mine:
            if await self._made_before(clip_id):
                return clip_id
            raise Unavailable("The clip could not be cut.", code="clip_failed")
        try:
            cut = await self._cut(clip_id, wanted, video, material, start, end)
            await self._announce(clip_id, video, cut, material.rendition, end)
        except BaseException:
            await asyncio.shield(self._give_up(clip_id))
            raise
        taken = time.monotonic() - began
        self._seconds.observe(taken)
        log.info("clip_made", clip_id=clip_id, video_id=video.id, seconds=round(taken, 3))
        return clip_id

    async def _made_before(self, clip_id: str) -> bool:
        """Whether a request is answered by the clip that it led to before, waiting while that is made.
        Raises Unavailable.
        """
        deadline = time.monotonic() + FORWARD_TIMEOUT_S
        while True:
            async with self._database.session() as session:
                status = await session.scalar(select(Clip.status).where(Clip.id == clip_id))
            if status is None or status == ClipStatus.READY:
                return status is not None
            if status == ClipStatus.FAILED:
                await self._give_up(clip_id)
            if time.monotonic() > deadline:
                raise Unavailable("The clip is not made yet.", code="clip_failed")
            await asyncio.sleep(LOOK_S)

    async def _material(self, wanted: Wanted, video: Facts) -> tuple[Material, tuple[float, float]]:
        material = await self._materials.source(video, wanted.start_s, wanted.duration_s)
        return material, stretch(wanted, material.end_s, live=video.live)

    async def _cut(
        self, clip_id: str, wanted: Wanted, video: Facts, material: Material, start: float,
        end: float,
    ) -> Cut:  # fmt: skip
        prefix = f"clips/{clip_id}/{material.rendition}"
        for attempt in range(ATTEMPTS):
            try:
                return await self._cutter.cut(material.held, start, end, prefix)
            except NotFound as error:
                if error.code != "segment_moved" or attempt == ATTEMPTS - 1:
                    raise
            # It went from the spool to the storage while we cut.
            material = await self._materials.source(video, start, end - start)
        raise Unavailable("The clip could not be cut.", code="clip_failed")

    async def _announce(
        self, clip_id: str, video: Facts, cut: Cut, rendition: str, end: float
    ) -> None:
        """The clip plays, and will be finished."""
        timeline = Timeline({rendition: cut.entries})
        values = {
            "status": ClipStatus.READY,
            "start_s": cut.plan.start / 1_000_000,
            "duration_s": round(timeline.duration_s, 6),
            "started_at": cut.entries[0].pdt,
            "entries": timeline.encode(),
            "size_bytes": timeline.size,
            "renditions": described(video.renditions, timeline),
            "width": video.width,
            "height": video.height,
        }
        params: Json = {
            "main": rendition,
            "start_s": cut.plan.start / 1_000_000,
            "end_s": end,
            "anchors": [asdict(anchor) for anchor in cut.plan.anchors],
            "msns": [cut.first_msn, cut.last_msn],
        }
        async with self._database.session() as session:
            changed = await session.scalar(
                update(Clip)
                .where(Clip.id == clip_id, Clip.status == ClipStatus.PROCESSING)
                .values(values)
                .returning(Clip.id)
            )
            if changed is None:
                raise Unavailable("The clip took too long to make.", code="clip_failed")
            job = await jobs.add(
                session, Kind.CLIP, priority=Priority.SOON, clip_id=clip_id, params=params
            )
            await emit(
                session,
                ClipReady(clip_id=clip_id, channel_id=video.channel_id, video_id=video.id),
            )
        await self._queue.wake(job)

    async def _give_up(self, clip_id: str) -> None:
        """Leave nothing of a clip, unless it plays after all; what cannot be done now the sweep does."""
        half = (Clip.id == clip_id, Clip.status != ClipStatus.READY)
        try:
            async with self._database.session() as session:
                # From here on it cannot become ready any more.
                found = await session.scalar(
                    update(Clip).where(*half).values(status=ClipStatus.FAILED).returning(Clip.id)
                )
            if found is not None and await clear(self._storage, f"clips/{clip_id}"):
                async with self._database.session() as session:
                    await session.execute(delete(Clip).where(*half))
        except Unavailable as error:
            log.warning("clip_not_given_up", clip=clip_id, reason=error.message)

    async def update(self, question: dict[str, Any]) -> dict[str, Any]:
        """{actor, clip_id, changes: {title}} → {}. Raises NotFound (`clip_not_found`)."""
        changes = question["changes"]
        values = {"title": str(changes["title"])} if "title" in changes else {}
        if values:
            async with self._database.session() as session:
                statement = _the_clip(question, update(Clip).values(values))
                if (await session.execute(statement)).first() is None:
                    raise _no_clip()
        return {}

    async def remove(self, question: dict[str, Any]) -> dict[str, Any]:
        """{actor, clip_id} → {}. It is gone for viewers at once; its objects follow."""
        async with self._database.session() as session:
            statement = update(Clip).values(deleted_at=func.now())
            row = (await session.execute(_the_clip(question, statement))).first()
            if row is None:
                raise _no_clip()
            await emit(session, ClipRemoved(clip_id=row.id, channel_id=row.channel_id))
        return {}

    # What is left over

    async def keep_sweeping(self) -> None:
        """Remove what is left of clips that were deleted or never finished; runs until cancelled."""
        while True:
            try:
                await self.sweep()
            except DomainError as error:
                log.warning("clips_not_swept", reason=error.message)
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> int:
        """How many clips' objects went. Raises Unavailable."""
        gone = await self._abandoned()
        for clip_id in gone:
            await self._give_up(clip_id)
        query = (
            select(Clip)
            .where(Clip.deleted_at.is_not(None), Clip.purged_at.is_(None))
            .order_by(Clip.deleted_at)
            .limit(SWEEP_BATCH)
        )
        async with self._database.session() as session:
            deleted = list(await session.scalars(query))
        for clip in deleted:
            await self._purge(clip)
        return len(gone) + len(deleted)

    async def _abandoned(self) -> list[str]:
        old = func.now() - timedelta(seconds=ABANDONED_S)
        query = select(Clip.id).where(Clip.status != ClipStatus.READY, Clip.created_at < old)
        async with self._database.session() as session:
            return list(await session.scalars(query.limit(SWEEP_BATCH)))

    async def _purge(self, clip: Clip) -> None:
        async with self._database.session() as session:
            keys = await left_over(session, clip.entries, clip_id=clip.id)
        async with removal(self._database) as may:
            if not may:
                return
            if keys:
                await self._storage.delete(*keys)
            cleared = await clear(self._storage, f"clips/{clip.id}")
        if cleared:
            async with self._database.session() as session:
                await session.execute(
                    update(Clip).where(Clip.id == clip.id).values(purged_at=func.now())
                )


def _the_clip(question: Mapping[str, Any], statement: Any) -> Any:
    mine = (Clip.id == str(question["clip_id"]), Clip.deleted_at.is_(None))
    return statement.where(*mine).returning(Clip.id, Clip.channel_id)


def _no_clip() -> NotFound:
    return NotFound("There is no such clip.", code="clip_not_found")


def _alone(_question: dict[str, Any]) -> object:
    """A lane for each question."""
    return object()


def described(known: list[Json], timeline: Timeline) -> list[Json]:
    """What playlists say of the renditions of a cut, from what they said of what it was cut from."""
    found = []
    for each in known:
        entries = timeline.renditions.get(each["name"])
        if entries:
            peak, average = bandwidth(entries)
            found.append({**each, "bandwidth": peak, "average_bandwidth": average})
    names = {each["name"] for each in found}
    for name, entries in timeline.renditions.items():
        if name not in names:
            # A broadcast that has only begun is described with its next segment.
            peak, average = bandwidth(entries)
            found.append(
                {
                    "name": name, "codecs": "", "width": 0, "height": 0, "frame_rate": 0,
                    "bandwidth": peak, "average_bandwidth": average,
                }
            )  # fmt: skip
    return found
