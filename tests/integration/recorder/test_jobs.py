"""The queue on a real database: claimed once, begun anew when its worker is gone, cancelled, retried."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.video_models import Job
from core.errors import Unavailable
from recorder import jobs
from recorder.jobs import Failure, Lost, Outcome, Priority, Work
from recorder.refusals import Refused
from recorder.workers import Task
from tests.harness import RunningServers, eventually_async
from tests.job_kit import Running, jobs_of

KIND = "of_a_test"


@dataclass
class Trial:
    """A craft that does as it is told."""

    errors: list[Exception] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: int = 0

    async def run(self, task: Task) -> Outcome:
        self.begun.append(task.work.attempts)
        task.progress = 0.5
        (task.scratch / "file").write_bytes(b"x")
        if self.errors:
            raise self.errors.pop(0)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return Outcome({"answer": 42})

    async def undo(self, _session: AsyncSession, _work: Work, failure: Failure) -> None:
        self.undone.append(failure.code)


@pytest_asyncio.fixture
async def running(servers: RunningServers) -> AsyncIterator[Running]:
    """The queue, empty of this test's kind."""
    settings = servers.settings(job_lease_s=2)
    async with jobs_of(settings) as found:
        found.crafts = {KIND: Trial()}
        async with found.database.session() as session:
            await session.execute(delete(Job).where(Job.kind == KIND))
        await found.bus.connected()
        yield found


def trial(running: Running) -> Trial:
    found = running.crafts[KIND]
    assert isinstance(found, Trial)
    return found


async def add(running: Running, priority: int = Priority.NORMAL) -> int:
    async with running.database.session() as session:
        row = await jobs.add(session, KIND, priority=priority)
    await running.queue.wake(row)
    return row.id


async def set_back(running: Running, job_id: int) -> None:
    """The job's lease is over, or its pause."""
    async with running.database.session() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(update(Job).where(Job.id == job_id).values(lease_until=past))


async def test_a_job_is_done_and_leaves_no_files(running: Running, tmp_path: Path) -> None:
    async with running.workers(tmp_path):
        job_id = await add(running)

        async def halfway() -> bool:
            return (await running.job(job_id)).progress == 0.5

        await eventually_async(halfway)
        trial(running).go_on.set()
        row = await running.until(job_id, "done")
    assert (row.result, row.progress, row.attempts) == ({"answer": 42}, 1, 1)
    assert row.lease_until is None and row.ended_at is not None
    assert os.listdir(tmp_path) == []


async def test_the_most_urgent_goes_first_and_each_goes_once(running: Running) -> None:
    late, soon, normal = [
        await add(running, p) for p in (Priority.LATER, Priority.SOON, Priority.NORMAL)
    ]
    claims = [await running.queue.claim("a", [KIND]) for _ in range(4)]
    assert [work.id if work else None for work in claims] == [soon, normal, late, None]


async def test_many_claim_at_once(running: Running) -> None:
    wanted = {await add(running) for _ in range(8)}
    claims = await asyncio.gather(*(running.queue.claim(f"w{n}", [KIND]) for n in range(12)))
    taken = [work.id for work in claims if work is not None]
    assert len(taken) == len(set(taken))
    rest = [await running.queue.claim("late", [KIND]) for _ in range(8)]
    assert {*taken, *(work.id for work in rest if work is not None)} == wanted


async def test_a_dead_worker_s_job_is_begun_anew_and_it_can_change_nothing(
    running: Running,
) -> None:
    job_id = await add(running)
    dead = await running.queue.claim("dead", [KIND])
    assert dead is not None
    assert await running.queue.claim("heir", [KIND]) is None
    await set_back(running, job_id)
    heir = await running.queue.claim("heir", [KIND])
    assert heir is not None
    assert (heir.id, heir.attempts, heir.deaths, heir.generation) == (job_id, 2, 1, 1)
    changed: list[bool] = []

    async def commit(_session: AsyncSession) -> None:
        changed.append(True)

    with pytest.raises(Lost):
        await running.queue.extend(dead, 0.9)
    with pytest.raises(Lost):
        await running.queue.finish(dead, Outcome({}, commit))
    assert not changed
    await running.queue.finish(heir, Outcome({}, commit))
    assert changed


async def test_what_kills_every_worker_is_given_up(running: Running, tmp_path: Path) -> None:
    job_id = await add(running)
    for number in range(jobs.DEATHS):
        assert await running.queue.claim(f"w{number}", [KIND]) is not None
        await set_back(running, job_id)
    async with running.workers(tmp_path):
        row = await running.until(job_id, "failed")
    assert row.error is not None
    assert row.error["code"] == "worker_died"
    assert trial(running).begun == []
    assert trial(running).undone == ["worker_died"]


async def test_a_cancelled_job_stops(running: Running, tmp_path: Path) -> None:
    async with running.workers(tmp_path):
        job_id = await add(running)
        await running.until(job_id, "running")
        craft = trial(running)
        async with running.database.session() as session:
            assert await jobs.cancel(session, job_id, {KIND: craft.undo})
            assert not await jobs.cancel(session, job_id, {KIND: craft.undo})

        async def stopped() -> bool:
            return craft.stopped == 1

        await eventually_async(stopped)
    assert (await running.job(job_id)).state == "cancelled"
    assert craft.undone == ["cancelled"]


async def test_what_passes_is_tried_again_and_what_does_not_is_not(
    running: Running, tmp_path: Path
) -> None:
    trial(running).errors = [Unavailable("Not now."), Refused("never", "It cannot be.")]
    async with running.workers(tmp_path):
        job_id = await add(running)

        async def waits() -> bool:
            row = await running.job(job_id)
            return row.state == "queued" and row.attempts == 1

        await eventually_async(waits)
        await set_back(running, job_id)
        row = await running.until(job_id, "failed")
    assert row.error == {"code": "never", "message": "It cannot be."}
    assert trial(running).begun == [1, 2]
    assert trial(running).undone == ["never"]


async def test_a_worker_that_stops_gives_its_job_back(running: Running, tmp_path: Path) -> None:
    async with running.workers(tmp_path):
        job_id = await add(running)
        await running.until(job_id, "running")
    row = await running.job(job_id)
    assert (row.state, row.attempts) == ("queued", 0)
    trial(running).go_on.set()
    async with running.workers(tmp_path):
        await running.until(job_id, "done")


async def test_a_lease_that_cannot_be_renewed_ends_the_work(
    running: Running, tmp_path: Path
) -> None:
    async with running.workers(tmp_path):
        job_id = await add(running)
        await running.until(job_id, "running")
        craft = trial(running)
        # Somebody else has it.
        async with running.database.session() as session:
            await session.execute(
                update(Job).where(Job.id == job_id).values(worker="another", attempts=2)
            )

        async def stopped() -> bool:
            return craft.stopped == 1

        await eventually_async(stopped)
        assert (await running.job(job_id)).state == "running"
