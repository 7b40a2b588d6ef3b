"""Work on jobs: slots that claim them, a heartbeat beside each, and what becomes of one that fails."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bound_contextvars

from core.bus import Bus, obey_cancellation
from core.errors import DomainError, Unavailable
from core.logs import logger
from core.metrics import Metrics
from core.streams import JOBS
from recorder.jobs import (
    DEATHS,
    WORKER_DIED,
    Failure,
    Lost,
    Outcome,
    Queue,
    Retry,
    Work,
    decide,
)

log = logger(__name__)

#: How often a slot without work looks for some that nobody announced.
POLL_S = 2.0
#: The longest pause between two heartbeats, and so between a cancellation and its effect.
BEAT_S = 2.0
RETRY_S = 1.0
#: One name for all workers of the installation: each message wakes one of them.
CONSUMER = "workers"


@dataclass
class Task:
    """A job while it is worked on. `scratch` is an empty folder that goes with it."""

    work: Work
    scratch: Path
    progress: float = 0.0


class Craft(Protocol):
    """How jobs of one kind are done."""

    async def run(self, task: Task) -> Outcome:
        """Do it. Raises Refused for what can never be done, Unavailable for what may be later."""
        ...

    async def undo(self, session: AsyncSession, work: Work, failure: Failure) -> None:
        """In the transaction that gives a job up: what else changes."""
        ...


@dataclass(frozen=True)
class JobMetrics:
    """What one process counts of its jobs."""

    ended: Counter
    seconds: Histogram
    waiting: Gauge
    overdue: Gauge

    @classmethod
    def of(cls, metrics: Metrics) -> JobMetrics:
        """Counted where the process's other figures are."""
        registry = metrics.registry
        return cls(
            Counter(
                "footlight_jobs",
                "Jobs that came to an end here: done, retried, failed, lost.",
                ("kind", "result"),
                registry=registry,
            ),
            Histogram(
                "footlight_job_seconds",
                "How long an attempt that succeeded took, seconds.",
                ("kind",),
                buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400),
                registry=registry,
            ),
            Gauge("footlight_jobs_open", "Jobs that wait or run.", ("state",), registry=registry),
            Gauge(
                "footlight_jobs_wait_seconds",
                "For how long the oldest job that could be begun has not been; 0 when none waits.",
                registry=registry,
            ),
        )


@dataclass
class Workers:
    """`slots` jobs at once, of the kinds in `crafts`, and one more of a kind that is not `heavy`: whoever
    asks for an export does not wait for somebody's long transcode.
    """

    queue: Queue
    crafts: Mapping[str, Craft]
    folder: Path
    slots: int
    node: str
    metrics: JobMetrics
    heavy: frozenset[str] = frozenset()
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._name = f"{self.node}-{secrets.token_hex(4)}"
        # A folder below it for each job.
        self.scratch = self.folder / self._name
        self._light = [kind for kind in self.crafts if kind not in self.heavy]
        one_more = self.slots and len(self._light) < len(self.crafts)
        self._places = self.slots + (1 if one_more else 0)

    async def run(self) -> None:
        """Work until cancelled; what is under way then is given back."""
        self.scratch.mkdir(parents=True, mode=0o700, exist_ok=True)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._places):
                    kinds = list(self.crafts) if number < self.slots else self._light
                    group.create_task(self._slot(number, kinds), name=f"worker-{number}")
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    async def listen(self, bus: Bus) -> None:
        """Be woken by messages; runs until cancelled."""
        await bus.work(JOBS, CONSUMER, [f"{JOBS.prefix}.>"], self._woken, at_once=64)

    async def _woken(self, _message: bytes) -> None:
        # Also when all are busy: whoever becomes free looks by itself, and one that is idle elsewhere
        # does so soon.
        self._wake.set()

    async def watch(self) -> None:
        """Keep the gauge of open jobs; runs until cancelled."""
        while True:
            with contextlib.suppress(Unavailable):
                for state, count in (await self.queue.counts()).items():
                    self.metrics.waiting.labels(state).set(count)
                self.metrics.overdue.set(await self.queue.oldest_due_s())
            await asyncio.sleep(15)

    async def _slot(self, number: int, kinds: Sequence[str]) -> None:
        name = f"{self._name}-{number}"
        while True:
            obey_cancellation()
            try:
                await self._turn(name, kinds)
            except Unavailable:
                await asyncio.sleep(RETRY_S)
            except Exception:
                # Whatever it is, it does not end what else this process does.
                log.exception("worker_stumbled")
                await asyncio.sleep(RETRY_S)

    async def _turn(self, name: str, kinds: Sequence[str]) -> None:
        """One job, or a while without any."""
        self._wake.clear()
        work = await self.queue.claim(name, kinds)
        if work is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_S)
            return
        # There may be more: another slot looks.
        self._wake.set()
        with bound_contextvars(job=work.id):
            await self._attempt(work)

    async def _attempt(self, work: Work) -> None:
        """One attempt, and what becomes of it."""
        log.info("job_begins", job=work.id, kind=work.kind, attempt=work.attempts)
        began = time.monotonic()
        craft = self.crafts[work.kind]
        try:
            if work.deaths >= DEATHS:
                await self.queue.fail(work, WORKER_DIED, craft.undo)
                result = "failed"
            else:
                outcome = await self._guarded(work, craft)
                await self._settle(self.queue.finish(work, outcome))
                result = "done"
                self.metrics.seconds.labels(work.kind).observe(time.monotonic() - began)
        except Lost:
            result = "lost"
        except asyncio.CancelledError:
            with contextlib.suppress(Lost, DomainError):
                await self.queue.give_back(work, uncounted=True)
            raise
        except Exception as error:
            result = await self._failed(work, craft, error)
        self.metrics.ended.labels(work.kind, result).inc()
        log.info("job_ended", job=work.id, kind=work.kind, result=result)

    async def _failed(self, work: Work, craft: Craft, error: Exception) -> str:
        decision = decide(work.attempts, error)
        if isinstance(decision, Retry):
            log.warning("job_retried", job=work.id, kind=work.kind, exc_info=error)
            step = self.queue.give_back(work, decision.after_s)
        else:
            log.warning(
                "job_failed", job=work.id, kind=work.kind, code=decision.code, exc_info=error
            )
            step = self.queue.fail(work, decision, craft.undo)
        try:
            await self._settle(step)
        except Lost:
            return "lost"
        return "retried" if isinstance(decision, Retry) else "failed"

    async def _settle(self, step: Awaitable[None]) -> None:
        """Write down how an attempt ended. With the database away the lease runs out: it is begun anew."""
        try:
            await step
        except Unavailable as error:
            log.warning("job_unsettled", reason=error.message)
            raise Lost("the database does not answer") from error

    async def _guarded(self, work: Work, craft: Craft) -> Outcome:
        """Do the job for as long as it is ours. Raises Lost when it no longer is."""
        scratch = self.scratch / str(work.id)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        task = Task(work, scratch)
        doing = asyncio.ensure_future(craft.run(task))
        beating = asyncio.ensure_future(self._beat(task))
        try:
            await asyncio.wait((doing, beating), return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                beating.result()
            return await doing
        finally:
            for part in (doing, beating):
                part.cancel()
            await asyncio.gather(doing, beating, return_exceptions=True)
            await asyncio.to_thread(shutil.rmtree, scratch, True)

    async def _beat(self, task: Task) -> None:
        """Renew the lease. Raises Lost once somebody else may have the job."""
        lease_s = self.queue.lease_s
        until = time.monotonic() + lease_s
        while True:
            await asyncio.sleep(min(BEAT_S, lease_s / 4))
            asked = time.monotonic()
            try:
                async with asyncio.timeout(max(0.1, until - asked)):
                    await self.queue.extend(task.work, task.progress)
            except (Unavailable, TimeoutError) as error:
                if time.monotonic() >= until:
                    raise Lost("the lease could not be renewed") from error
            else:
                until = asked + lease_s
