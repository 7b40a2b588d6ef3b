"""Both dialects on inputs that nobody would write, through real sockets into the running service."""

from __future__ import annotations

import random
import time

import pytest
from websockets.exceptions import ConnectionClosed

from chat import gateway
from cli.instance import free_port
from core.settings import Settings
from tests.chat_kit import Chat, World, running_chat
from tests.fuzz_kit import FRAMES, LINES, TEXTS, mutated
from tests.irc_kit import over_tcp

SHORT, LONG = 1_500, 100_000
# Inputs on one connection, unless it is closed before.
BATCH = 250


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """With IRC over TCP, and patience: here the limits would hide what is behind them."""
    monkeypatch.setattr(gateway, "FLOOD_BURST", 1_000_000_000)
    return settings.model_copy(update={"irc_listen": f"127.0.0.1:{free_port(set())}"})


async def irc_batch(settings: Settings, login: str, chance: random.Random) -> int:
    """A connection's worth of lines: how many were sent."""
    seeds = [*LINES, *(f"PRIVMSG #{login} :{text}" for text in TEXTS), f"JOIN #{login}"]
    port = int(settings.irc_listen.rpartition(":")[2])
    number = 0
    async with over_tcp(port) as client:
        try:
            await client.log_in(None)
            await client.send(f"JOIN #{login}")
            while number < BATCH:
                number += 1
                line = mutated(seeds, chance).encode("utf-8", "replace").decode()
                await client.raw(f"{line}\r\n")
            await client.barrier()
        except (AssertionError, ConnectionError):
            # A line that was too long, or QUIT.
            pass
    return number


async def json_batch(chat: Chat, login: str, chance: random.Random) -> int:
    """A connection's worth of frames: how many were sent."""
    seeds = [frame.replace('"ann"', f'"{login}"') for frame in FRAMES]
    client = await chat.client()
    number = 0
    try:
        while number < BATCH:
            number += 1
            text = mutated(seeds, chance).encode("utf-8", "replace").decode()
            await client.connection.send(text)
        await client.barrier()
    except (AssertionError, ConnectionClosed):
        pass
    await client.close()
    return number


async def feed(
    settings: Settings, world: World, capfd: pytest.CaptureFixture[str], count: int, seed: int
) -> None:
    """Feed `count` inputs a dialect. Somebody else chats on, and nothing is logged as a failure."""
    chance = random.Random(seed)
    channel, ann = await world.person("chan"), await world.person("ann")
    async with running_chat(settings) as chat:
        bystander = await chat.joined(channel, ann)
        lines = frames = 0
        while lines < count or frames < count:
            lines += await irc_batch(settings, channel.login, chance)
            frames += await json_batch(chat, channel.login, chance)
            await bystander.barrier()
        said = await bystander.say(channel, "still here")
        assert said["type"] == "message"
    written = capfd.readouterr()
    assert "Traceback" not in written.out + written.err, f"seed {seed}"


async def test_a_thousand_inputs(
    settings: Settings, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    await feed(settings, world, capfd, SHORT, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_a_hundred_thousand_inputs(
    settings: Settings, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    await feed(settings, world, capfd, LONG, time.time_ns())
