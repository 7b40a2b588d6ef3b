"""The queue of work that takes longer than a request.

A job is a row; the row is the truth. Whoever works on it holds a lease that a heartbeat renews: when it
is over, another worker begins the job anew. What a job changes in the database it changes in the
transaction that ends it, and only while the lease is still its own, so that a worker that was thought
dead changes nothing. A message on JetStream only wakes somebody up; jobs are found without it, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.bus import Bus
from core.db.engine import Database
from core.db.models import Json
from core.db.video_models import Job, JobState
from core.errors import Unavailable
from core.events import JobDone
from core.logs import logger
from core.outbox import emit
from core.streams import JOBS
from recorder.refusals import Refused

log = logger(__name__)

#: A job that fails for no known reason is tried so often; one that waits for a server, more often.
ATTEMPTS = 3
PATIENT_ATTEMPTS = 20
#: Workers that vanished over a job before it is given up.
DEATHS = 3
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 300.0

_OPEN = (JobState.QUEUED, JobState.RUNNING)


class Kind(StrEnum):
    """What is to be done."""

    TRANSCODE = "transcode"
    EXPORT_MP4 = "export_mp4"
    EXPORT_MP3 = "export_mp3"
    # Of `recorder` itself, not of a worker (recorder.clip_jobs).
    CLIP = "clip"
    HIGHLIGHT = "highlight"


class Priority(IntEnum):
    """The smallest goes first."""

    SOON = 10
    NORMAL = 100
    LATER = 200


class Lost(Exception):
    """The job is no longer this worker's: its lease was over, or somebody cancelled it."""


@dataclass(frozen=True)
class Failure:
    """Why a job has failed for good."""

    code: str
    message: str

    def as_json(self) -> Json:
        """As it is stored."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True)
class Retry:
    """The job is tried again after so many seconds."""

    after_s: float


CANCELLED = Failure("cancelled", "It was cancelled.")
WORKER_DIED = Failure("worker_died", "Processing this kept failing. It was given up.")
UNEXPECTED = Failure("internal", "Something went wrong on our side.")


def decide(attempts: int, error: Exception) -> Retry | Failure:
    """What becomes of a job whose attempt number `attempts` (the first is 1) ended with `error`."""
    if isinstance(error, Refused):
        return Failure(error.code, error.message)
    most = PATIENT_ATTEMPTS if isinstance(error, Unavailable) else ATTEMPTS
    if attempts >= most:
        if isinstance(error, Unavailable):
            return Failure("unavailable", error.message)
        return UNEXPECTED
    return Retry(min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** (attempts - 1)))


@dataclass(frozen=True)
class Work:
    """A job as its worker has it.

    `attempts` counts this one; `deaths` those whose worker vanished. `generation` is another number in
    every attempt, from 0, also where one was not counted.
    """

    id: int
    kind: str
    video_id: int | None
    clip_id: str | None
    user_id: int | None
    attempts: int
    generation: int
    deaths: int
    params: Json
    worker: str

    @classmethod
    def of(cls, row: Job) -> Work:
        """From its row."""
        return cls(
            row.id,
            row.kind,
            row.video_id,
            row.clip_id,
            row.user_id,
            row.attempts,
            row.result.get("claims", 1) - 1,
            row.result.get("deaths", 0),
            row.params,
            row.worker or "",
        )


@dataclass(frozen=True)
class Outcome:
    """A job that was done: what its row keeps, and what else changes in that same transaction."""

    result: Json
    commit: Callable[[AsyncSession], Awaitable[None]] | None = None


#: What a job that is given up or cancelled changes beside its own row, by its kind.
Undo = Callable[[AsyncSession, Work, Failure], Awaitable[None]]


class Queue:
    """The jobs of the installation, seen from one process."""

    def __init__(self, database: Database, bus: Bus, lease_s: float) -> None:
        self.database = database
        self.lease_s = lease_s
        self._bus = bus

    async def wake(self, job: Job) -> None:
        """Tell the workers that a job waits, after the transaction that added it."""
        subject = f"{JOBS.prefix}.{job.priority}"
        try:
            await self._bus.publish(subject, b"", f"job-{job.id}-{job.attempts}", JOBS)
        except Unavailable as error:
            # They look for themselves every few seconds.
            log.debug("job_unannounced", job=job.id, reason=error.message)

    async def claim(self, worker: str, kinds: Collection[str]) -> Work | None:
        """The next job that waits, now this worker's; None when there is none."""
        async with self.database.session() as session:
            row = await session.scalar(
                select(Job)
                .where(Job.kind.in_(kinds), _due())
                .order_by(Job.priority, Job.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if row is None:
                return None
            values: dict[str, Any] = {
                "state": JobState.RUNNING,
                "worker": worker,
                "attempts": Job.attempts + 1,
                "progress": 0,
                "lease_until": self._lease(),
                "started_at": func.coalesce(Job.started_at, func.now()),
            }
            died = row.state == JobState.RUNNING
            # Until it is done, its result is what is known of its attempts.
            values["result"] = {
                "claims": row.result.get("claims", 0) + 1,
                "deaths": row.result.get("deaths", 0) + died,
            }
            await session.execute(update(Job).where(Job.id == row.id).values(values))
            await session.refresh(row)
            return Work.of(row)

    def _lease(self) -> Any:
        return func.now() + timedelta(seconds=self.lease_s)

    async def extend(self, work: Work, progress: float) -> None:
        """Heartbeat: the job stays this worker's for another lease. Raises Lost, Unavailable."""
        values = {"lease_until": self._lease(), "progress": min(1.0, max(0.0, progress))}
        async with self.database.session() as session:
            await self._change(session, work, values)

    async def finish(self, work: Work, outcome: Outcome) -> None:
        """The job is done. Raises Lost, and then nothing has changed; Unavailable."""
        async with self.database.session() as session:
            values = {"state": JobState.DONE, "progress": 1, "result": outcome.result}
            await self._change(session, work, {**values, **_ended()})
            if outcome.commit is not None:
                await outcome.commit(session)
            await emit(session, _event(work, JobState.DONE))

    async def give_back(self, work: Work, after_s: float = 0, *, uncounted: bool = False) -> None:
        """The job is to be tried again, in a while. Raises Lost, Unavailable."""
        values: dict[str, Any] = {
            "state": JobState.QUEUED,
            "worker": None,
            "lease_until": func.now() + timedelta(seconds=after_s),
        }
        if uncounted:
            values["attempts"] = Job.attempts - 1
        async with self.database.session() as session:
            await self._change(session, work, values)

    async def fail(self, work: Work, failure: Failure, undo: Undo | None) -> None:
        """The job has failed for good. Raises Lost, Unavailable."""
        async with self.database.session() as session:
            values = {"state": JobState.FAILED, "error": failure.as_json()}
            await self._change(session, work, {**values, **_ended()})
            if undo is not None:
                await undo(session, work, failure)
            await emit(session, _event(work, JobState.FAILED))

    async def _change(self, session: AsyncSession, work: Work, values: Mapping[str, Any]) -> None:
        """Change the row as long as it is this worker's, in this attempt."""
        mine = (
            Job.id == work.id,
            Job.state == JobState.RUNNING,
            Job.worker == work.worker,
            Job.attempts == work.attempts,
        )
        changed = await session.scalar(update(Job).where(*mine).values(values).returning(Job.id))
        if changed is None:
            raise Lost(f"job {work.id}")

    async def counts(self) -> dict[str, int]:
        """How many jobs wait and run, by state."""
        async with self.database.session() as session:
            query = select(Job.state, func.count()).where(Job.state.in_(_OPEN)).group_by(Job.state)
            found = {state: count for state, count in (await session.execute(query)).all()}
        return {state: found.get(state, 0) for state in _OPEN}

    async def oldest_due_s(self) -> float:
        """For how long the job that could be begun longest ago has not been, seconds; 0: there is none."""
        async with self.database.session() as session:
            since = func.min(func.coalesce(Job.lease_until, Job.created_at))
            seconds = func.extract("epoch", func.clock_timestamp() - since)
            found = await session.scalar(select(seconds).where(_due()))
        return max(0.0, float(found or 0.0))


def _due() -> ColumnElement[bool]:
    """A queued job's lease is when it may be tried again."""
    waits = or_(Job.lease_until.is_(None), Job.lease_until <= func.now())
    return or_(
        and_(Job.state == JobState.QUEUED, waits),
        and_(Job.state == JobState.RUNNING, Job.lease_until <= func.now()),
    )


def _ended() -> dict[str, Any]:
    return {"ended_at": func.now(), "lease_until": None}


def _event(work: Work, state: JobState) -> JobDone:
    return JobDone(
        job_id=work.id,
        kind=work.kind,
        state=state,
        user_id=work.user_id,
        video_id=work.video_id,
        clip_id=work.clip_id,
    )


async def add(
    session: AsyncSession,
    kind: str,
    *,
    priority: int = Priority.NORMAL,
    video_id: int | None = None,
    clip_id: str | None = None,
    user_id: int | None = None,
    params: Json | None = None,
) -> Job:
    """Add a job in the caller's transaction; `Queue.wake` follows once it is committed."""
    row = Job(
        kind=kind,
        priority=int(priority),
        video_id=video_id,
        clip_id=clip_id,
        user_id=user_id,
        params=params or {},
        attempts=0,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def cancel(session: AsyncSession, job_id: int, undo: Mapping[str, Undo]) -> bool:
    """End a job that waits or runs; whoever works on it finds out with the next heartbeat.

    False when it is over already, or there is none.
    """
    values = {"state": JobState.CANCELLED, "error": CANCELLED.as_json(), **_ended()}
    row = await session.scalar(
        update(Job).where(Job.id == job_id, Job.state.in_(_OPEN)).values(values).returning(Job)
    )
    if row is None:
        return False
    work = Work.of(row)
    if work.kind in undo:
        await undo[work.kind](session, work, CANCELLED)
    await emit(session, _event(work, JobState.CANCELLED))
    return True
