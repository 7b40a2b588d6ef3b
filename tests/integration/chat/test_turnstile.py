"""The connection over which messages are accepted, against a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from chat.turnstile import Turnstile
from core.cache import open_redis
from tests.harness import RunningServers

SCRIPT = """
if ARGV[1] == "wrong" then return redis.error_reply("WRONG one") end
if ARGV[1] == "run" then return ARGV[#ARGV] end
return {KEYS[1], ARGV[1]}
"""


@pytest_asyncio.fixture
async def redis(servers: RunningServers) -> AsyncIterator[Redis]:
    async with open_redis(servers.settings()) as client:
        yield client


@pytest_asyncio.fixture
async def turnstile(redis: Redis) -> AsyncIterator[Turnstile]:
    made = Turnstile(redis, SCRIPT)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_everybody_gets_their_own_answer(turnstile: Turnstile) -> None:
    answers = await asyncio.gather(
        *(turnstile.pass_through([f"k{number}"], [number]) for number in range(500))
    )
    assert answers == [[f"k{n}".encode(), str(n).encode()] for n in range(500)]


async def test_an_error_is_its_callers_alone(turnstile: Turnstile) -> None:
    first, wrong, last = await asyncio.gather(
        *(turnstile.pass_through(["k"], [word]) for word in ("a", "wrong", "b")),
        return_exceptions=True,
    )
    assert first == [b"k", b"a"]
    assert isinstance(wrong, ResponseError)
    assert last == [b"k", b"b"]


async def test_a_forgotten_script_is_loaded_again(turnstile: Turnstile, redis: Redis) -> None:
    assert await turnstile.pass_through(["k"], ["a"]) == [b"k", b"a"]
    await redis.script_flush()
    assert await asyncio.gather(*(turnstile.pass_through(["k"], [w]) for w in "bc")) == [
        [b"k", b"b"],
        [b"k", b"c"],
    ]


async def test_a_lost_connection_is_made_anew(turnstile: Turnstile, redis: Redis) -> None:
    assert await turnstile.pass_through(["k"], ["a"]) == [b"k", b"a"]
    await redis.client_kill_filter(_type="normal", skipme=True)
    assert await turnstile.pass_through(["k"], ["b"]) == [b"k", b"b"]


async def test_the_script_is_told_which_server_is_meant(turnstile: Turnstile, redis: Redis) -> None:
    run = (await redis.info("server"))["run_id"].encode()
    assert await turnstile.pass_through(["k"], ["run"]) == run
    await redis.client_kill_filter(_type="normal", skipme=True)
    assert await turnstile.pass_through(["k"], ["run"]) == run


async def test_who_goes_away_leaves_the_others_their_answers(turnstile: Turnstile) -> None:
    calls = [asyncio.create_task(turnstile.pass_through(["k"], [n])) for n in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    assert await asyncio.gather(*calls[1:]) == [[b"k", b"1"], [b"k", b"2"]]


async def test_no_redis_is_said_at_once(servers: RunningServers) -> None:
    nowhere = Redis.from_url("unix:///nonexistent/redis.sock")
    made = Turnstile(nowhere, SCRIPT)
    running = asyncio.create_task(made.run())
    with pytest.raises(RedisError):
        await made.pass_through(["k"], ["a"])
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await nowhere.aclose()
