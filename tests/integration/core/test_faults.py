"""Servers that die, hang or forget: nothing is lost, nothing hangs, everything recovers by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import func, select, text

from core.bus import Bus, open_bus
from core.cache import check_redis, open_redis
from core.db.engine import Database, open_database
from core.db.models import OutboxEvent
from core.errors import RateLimited, Unavailable
from core.events import ChannelUpdated, Event
from core.limits import Limit, Limiter
from core.outbox import emit, relay
from core.storage import open_storage
from tests.harness import eventually_async
from tests.integration.core.conftest import Breakable, Stopwatch

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


@pytest_asyncio.fixture
async def database(breakable: Breakable) -> AsyncIterator[Database]:
    async with open_database(breakable.settings) as opened:
        yield opened


@pytest_asyncio.fixture
async def bus(breakable: Breakable) -> AsyncIterator[Bus]:
    async with open_bus(breakable.settings) as opened:
        await opened.connected()
        yield opened


class Numbers:
    """Publishes numbered events, and keeps what a consumer gets of them."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self.sent = 0
        self.received: list[int] = []

    async def send(self, count: int) -> None:
        for _ in range(count):
            async with self._database.session() as session:
                await emit(session, ChannelUpdated(channel_id=self.sent, login=self._name))
            self.sent += 1

    async def keep(self, event: Event) -> None:
        if isinstance(event, ChannelUpdated) and event.login == self._name:
            self.received.append(event.channel_id)

    async def all_arrived(self) -> bool:
        # Deliveries may repeat; the first of each has to come in order.
        return list(dict.fromkeys(self.received)) == list(range(self.sent))


@pytest_asyncio.fixture
async def numbers(
    breakable: Breakable, database: Database, bus: Bus, request: pytest.FixtureRequest
) -> AsyncIterator[Numbers]:
    """With a relay and a consumer at work."""
    name = request.node.name
    flow = Numbers(database, name)
    work = [
        asyncio.create_task(relay(database, bus, breakable.settings)),
        asyncio.create_task(bus.consume(name, [ChannelUpdated], flow.keep)),
    ]
    yield flow
    for task in work:
        task.cancel()
    results = await asyncio.gather(*work, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def test_events_arrive_at_once(numbers: Numbers) -> None:
    await numbers.send(1)
    await eventually_async(numbers.all_arrived)
    watch = Stopwatch()
    await numbers.send(1)
    await eventually_async(numbers.all_arrived)
    # Sooner than the relay's next look: it was notified.
    assert watch.elapsed < 0.9


async def test_rolled_back_is_not_published(numbers: Numbers, database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.session() as session:
            await emit(session, ChannelUpdated(channel_id=999, login=numbers._name))
            raise RuntimeError
    await numbers.send(2)
    await eventually_async(numbers.all_arrived)
    assert 999 not in numbers.received


async def test_nats_killed(numbers: Numbers, breakable: Breakable) -> None:
    await numbers.send(20)
    breakable.kill("nats")
    await numbers.send(20)
    await eventually_async(numbers.all_arrived, within_s=30)


async def test_nats_frozen(numbers: Numbers, breakable: Breakable, bus: Bus) -> None:
    await numbers.send(5)
    await eventually_async(numbers.all_arrived)
    with breakable.frozen("nats"):
        # Nobody who writes waits for NATS.
        watch = Stopwatch()
        await numbers.send(20)
        assert watch.elapsed < 3
        watch = Stopwatch()
        with pytest.raises(Unavailable):
            await bus.request("footlight.rpc.nobody", {})
        assert watch.elapsed < 4
    await eventually_async(numbers.all_arrived, within_s=40)


async def test_nats_wiped(numbers: Numbers, breakable: Breakable) -> None:
    await numbers.send(5)
    await eventually_async(numbers.all_arrived)
    breakable.kill("nats", wiping=breakable.data / "nats" / "jetstream")
    await numbers.send(20)
    await eventually_async(numbers.all_arrived, within_s=40)


async def test_outbox_is_empty_in_the_end(numbers: Numbers, database: Database) -> None:
    await numbers.send(3)

    async def empty() -> bool:
        async with database.session() as session:
            return await session.scalar(select(func.count()).select_from(OutboxEvent)) == 0

    await eventually_async(empty)


async def test_nobody_answers(bus: Bus) -> None:
    watch = Stopwatch()
    with pytest.raises(Unavailable):
        await bus.request("footlight.rpc.nobody", {})
    # NATS says at once that nobody listens.
    assert watch.elapsed < 1


async def test_a_bus_can_be_opened_before_nats_is_there(breakable: Breakable) -> None:
    with breakable.frozen("nats"):
        async with open_bus(breakable.settings) as early:
            heard: list[dict[str, object]] = []

            async def answer(question: dict[str, object]) -> dict[str, object]:
                heard.append(question)
                return {"ok": True}

            await early.respond("footlight.rpc.test_early", answer)
            with pytest.raises(Unavailable):
                await early.publish("footlight.events.x", b"{}", "1")
    async with open_bus(breakable.settings) as late:
        await late.respond("footlight.rpc.test_late", answer)
        await late.connected()
        assert await late.request("footlight.rpc.test_late", {"n": 1}) == {"ok": True}


async def test_postgres_killed(database: Database, numbers: Numbers, breakable: Breakable) -> None:
    await asyncio.gather(*(database.check() for _ in range(5)))
    breakable.kill("postgres")

    async def works() -> bool:
        try:
            await database.check()
        except Unavailable:
            return False
        return True

    await eventually_async(works, within_s=30)
    # Every connection of the pool is from before; none of them is handed out.
    await asyncio.gather(*(database.check() for _ in range(10)))
    await numbers.send(3)
    await eventually_async(numbers.all_arrived, within_s=20)


async def test_postgres_frozen(database: Database, breakable: Breakable) -> None:
    await database.check()
    with breakable.frozen("postgres"):
        watch = Stopwatch()
        with pytest.raises(Unavailable):
            await database.check()
        assert watch.elapsed < 10

    async def works() -> bool:
        try:
            await database.check()
        except Unavailable:
            return False
        return True

    await eventually_async(works, within_s=20)


async def test_a_long_statement_is_ended(database: Database) -> None:
    watch = Stopwatch()
    with pytest.raises(Unavailable):
        async with database.session() as session:
            await session.execute(text("select pg_sleep(30)"))
    assert watch.elapsed < 5


async def test_redis_killed_and_frozen(breakable: Breakable) -> None:
    async with open_redis(breakable.settings) as redis:
        limiter = Limiter(redis)
        limit = [(Limit("x", 3, 60), "somebody")]
        for _ in range(3):
            await limiter.charge("test", limit)
        with pytest.raises(RateLimited) as limited:
            await limiter.charge("test", limit)
        assert limited.value.retry_after is not None and 1 <= limited.value.retry_after <= 20
        await redis.config_set("appendfsync", "always")
        breakable.kill("redis")

        async def back() -> bool:
            try:
                await check_redis(redis)
            except Unavailable:
                return False
            return True

        await eventually_async(back, within_s=20)
        # Its log on disk kept the count, and the script is loaded anew.
        with pytest.raises(RateLimited):
            await limiter.charge("test", limit)
        await redis.flushall()
        await limiter.charge("test", limit)
        with breakable.frozen("redis"):
            watch = Stopwatch()
            with pytest.raises(Unavailable):
                await limiter.charge("test", limit)
            assert watch.elapsed < 6
        await limiter.charge("test", limit)


async def test_s3_killed(breakable: Breakable) -> None:
    async with open_storage(breakable.settings) as storage:
        await storage.ensure_bucket()
        await storage.put("a/b", b"hello")
        breakable.kill("s3")

        async def kept() -> bool:
            try:
                return await storage.get("a/b") == b"hello"
            except Unavailable:
                return False

        await eventually_async(kept, within_s=20)
        await storage.check()
