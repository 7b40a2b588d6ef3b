"""The database's disk is full: row 11. The spool is in test_videos, the media folder in tests/integration/ingest."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from bench.stage import Channel
from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Sample
from tests.e2e.stage import Stage, state_of
from tests.faults.conftest import Report
from tests.faults.disk import full, small_disk
from tests.faults.live import UNTOUCHED, live
from tests.faults.load import Load
from tests.faults.test_videos import compare
from tests.harness import eventually_async

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

#: Every table and index of ours.
OURS = """
select c.oid::regclass::text as name, c.relkind = 'r' as is_table from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'i')
"""


async def _move(stage: Stage, to: str, filling: str) -> None:
    """Have all of them in another place, one after the other: together they would lock each other out."""
    for each in await stage.rows(OURS):
        kind = "table" if each["is_table"] else "index"
        await stage.rows(f"alter {kind} {each['name']} set tablespace {to}")
        if each["is_table"]:
            await stage.rows(f"alter table {each['name']} {filling}")


@contextlib.asynccontextmanager
async def _small_database(stage: Stage) -> AsyncIterator[None]:
    """Our tables are on the small disk during the block. The write-ahead log is not: PostgreSQL stops when that
    is full, which is the fault of row 9.
    """
    small = stage.instance.data.with_name("small")
    await stage.rows(f"create tablespace small location '{small}'")
    try:
        # A new row does not fit beside others: it needs a page of its own, and that the disk.
        await _move(stage, "small", "set (fillfactor = 10)")
        yield
    finally:
        await _move(stage, "pg_default", "reset (fillfactor)")
        await stage.rows("drop tablespace small")


async def test_11_database_full(
    stage: Stage, sample: Sample, load: Load, live_unnoticed: None, report: Report
) -> None:
    """Nothing can be written: who is live stays so and who chats goes on, a new publish is refused and requests
    are answered that it does not work now. With room again all is written down.
    """
    disk = small_disk(stage)
    if disk is None:
        pytest.skip("no small disk without user namespaces")
    async with live(stage, sample) as running, stage.channel() as other:
        async with _small_database(stage):
            with full(disk):
                began, said = time.monotonic(), load.strain().said
                answer = await running.channel.client.post(
                    "/api/v1/me/stream-keys", json={"name": "Another"}
                )
                assert answer.status_code == 503, answer.text
                assert answer.json()["error"]["code"] == "unavailable"
                answer = await running.channel.client.get(f"/api/v1/channels/{other.login}")
                assert answer.status_code == 200, answer.text
                await _refused(stage, other)
                await running.playing(10)
                assert load.strain().said > said
                assert load.failures("chat", since=began) == []
            room = time.monotonic()
            await eventually_async(
                lambda: _admitted(stage, other, sample), within_s=30, what="publishing works"
            )
            back_s = time.monotonic() - room
            assert await running.finish() == UNTOUCHED
            await stage.broadcasts(running.channel.login, ("ended", "stopped"))
            report(
                11,
                "the database's disk is full",
                recovered_s=back_s,
                lost=0,
                remark="live and chat went on; a new publisher was refused",
            )
            await compare(stage, running, report, 11, "video: the database's disk was full")
            await eventually_async(
                lambda: _written(stage, load), within_s=30, what="the chat is written down"
            )


async def _refused(stage: Stage, other: Channel) -> None:
    """A new stream is not begun, not even half."""
    with pytest.raises(Rejected):
        async with await Connection.open(stage.rtmp_port) as connection:
            await connection.publish(other.key)
    await state_of(stage, other.login, "offline", within_s=5)
    assert await stage.streams(other.login) == []


async def _admitted(stage: Stage, other: Channel, sample: Sample) -> bool:
    """Whether a new stream can begin; it is ended at once."""
    try:
        async with await Connection.open(stage.rtmp_port) as connection:
            await connection.publish(other.key)
            pushing = asyncio.create_task(connection.push(sample.tags))
            await state_of(stage, other.login, "live")
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await connection.stop()
    except Rejected:
        return False
    return True


async def _written(stage: Stage, load: Load) -> bool:
    """Whether the database has every message that was acknowledged during this test: what came before may have
    been lost as its row allows.
    """
    for speaker, _ in load.rooms:
        said = speaker.acknowledged[speaker.judged :]
        rows = await stage.rows(
            "select m.text from chat_messages m join users u on u.id = m.channel_id where u.login = $1",
            speaker.room.login,
        )
        if set(said) - {row["text"] for row in rows}:
            return False
    return True
