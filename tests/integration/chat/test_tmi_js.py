"""tmi.js as it comes from npm, through the public port: only the server's address is another."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from cli.toolchain import Toolchain
from core.db.engine import open_database
from tests.chat_kit import Person, World, dial
from tests.harness import RunningInstance, RunningServers
from tests.irc_kit import app_token

pytestmark = pytest.mark.timeout(120)
SCRIPT = Path(__file__).with_name("tmi_client.js")
_ids = itertools.count(1)


@pytest_asyncio.fixture
async def world(instance: RunningInstance) -> AsyncIterator[World]:
    """Accounts and channels of the whole instance."""
    settings = RunningServers(instance.data).settings()
    async with open_database(settings) as database:
        yield World(database, settings)


class Tmi:
    """A running bot."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._told: list[dict[str, Any]] = []

    async def __call__(self, method: str, *values: Any) -> Any:
        """Call the client: what its promise resolves to. Raises AssertionError when it rejects."""
        assert self._process.stdin is not None
        call = next(_ids)
        self._process.stdin.write(f"{json.dumps([call, method, *values])}\n".encode())
        answer = await self._next(lambda told: told.get("id") == call)
        assert "resolved" in answer, f"{method} was rejected: {answer}"
        return answer["resolved"]

    async def heard(self, event: str) -> list[Any]:
        """The next such event's values."""
        told = await self._next(lambda told: told.get("event") == event)
        values: list[Any] = told["values"]
        return values

    async def _next(self, wanted: Any) -> dict[str, Any]:
        for index, told in enumerate(self._told):
            if wanted(told):
                del self._told[index]
                return told
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            while line := await self._process.stdout.readline():
                told = json.loads(line)
                # It has no case for Twitch's `already_slow_…` and `already_followers_…`, and says so.
                assert "log" not in told or "=already_" in told["log"], f"tmi.js complains: {told}"
                if wanted(told):
                    return dict(told)
                self._told.append(told)
        raise AssertionError(f"it ended; it told {self._told}")


@asynccontextmanager
async def bot(
    toolchain: Toolchain, instance: RunningInstance, login: str = "", token: str = ""
) -> AsyncIterator[Tmi]:
    """tmi.js in a process of its own, connected."""
    node, _ = toolchain.node()
    at = urlsplit(instance.url)
    process = await asyncio.create_subprocess_exec(
        str(node), str(SCRIPT), str(at.hostname), str(at.port), login, token,
        env={**os.environ, "NODE_PATH": str(toolchain.web_tests() / "node_modules")},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        client = Tmi(process)
        await client("connect")
        yield client
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


async def test_a_moderators_bot(
    instance: RunningInstance, toolchain: Toolchain, world: World
) -> None:
    channel, mod, ann = [await world.person(name) for name in ("chan", "bot", "ann")]
    await world.role(channel, mod, "moderator")
    name = f"#{channel.login}"
    web = await dial(instance.url)
    await web.hello(ann)
    token = await app_token(world.database, mod)
    async with bot(toolchain, instance, mod.login, token) as tmi:
        assert await tmi("join", channel.login) == [name]
        await web.join(channel)
        # Talking, both ways. tmi.js shows its own words itself, from the USERSTATE it was given.
        await tmi("say", name, "hello from a bot")
        said = await web.next("message", text="hello from a bot")
        assert said["user"]["badges"] == ["moderator/1"]
        own = await tmi.heard("chat")
        assert own[1]["mod"] is True and own[3] is True
        await tmi("action", name, "waves")
        assert (await web.next("message", text="waves"))["kind"] == "action"
        written = await web.say(channel, "hi there")
        heard = await tmi.heard("chat")
        assert heard[0] == name and heard[2] == "hi there" and heard[3] is False
        assert heard[1]["id"] == written["id"] and heard[1]["username"] == ann.login
        await _moderates(tmi, name, ann, written["id"])
        await _changes_modes(tmi, name)
        assert await tmi("mods", name) == [mod.login]
        assert await tmi("vips", name) == []
        assert await tmi("color", "#8a2be2") == ["#8a2be2"]
        assert len(await tmi("ping")) == 1
        assert await tmi("part", name) == [name]
    await web.close()


async def _moderates(tmi: Tmi, name: str, ann: Person, message_id: str) -> None:
    await tmi("deletemessage", name, message_id)
    deleted = await tmi.heard("messagedeleted")
    assert deleted[:3] == [name, ann.login, "hi there"]
    assert await tmi("timeout", name, ann.login, 60, "spam") == [name, ann.login, 60, "spam"]
    assert (await tmi.heard("timeout"))[:4] == [name, ann.login, None, 60]
    await tmi("unban", name, ann.login)
    assert await tmi("ban", name, ann.login, "more spam") == [name, ann.login, "more spam"]
    assert (await tmi.heard("ban"))[:2] == [name, ann.login]
    await tmi("unban", name, ann.login)
    await tmi("clear", name)
    await tmi.heard("clearchat")


async def _changes_modes(tmi: Tmi, name: str) -> None:
    assert await tmi("slow", name, 10) == [name, 10]
    assert await tmi.heard("slowmode") == [name, True, 10]
    # Once more, and nothing changes: the answer is the same.
    assert await tmi("slow", name, 10) == [name, 10]
    await tmi("slowoff", name)
    await tmi("slowoff", name)
    assert await tmi("followersonly", name, 30) == [name, 30]
    assert await tmi("followersonly", name, 30) == [name, 30]
    await tmi("followersonlyoff", name)
    await tmi("followersonlyoff", name)
    for mode in ("subscribers", "emoteonly", "r9kbeta"):
        await tmi(mode, name)
        assert await tmi.heard(mode) == [name, True]
        await tmi(f"{mode}off", name)


async def test_the_broadcasters_bot(
    instance: RunningInstance, toolchain: Toolchain, world: World
) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    token = await app_token(world.database, channel)
    name = f"#{channel.login}"
    async with bot(toolchain, instance, channel.login, token) as tmi:
        await tmi("join", name)
        assert await tmi("mod", name, ann.login) == [name, ann.login]
        assert await tmi("mods", name) == [ann.login]
        await tmi("unmod", name, ann.login)
        assert await tmi("vip", name, ann.login) == [name, ann.login]
        assert await tmi("vips", name) == [ann.login]
        await tmi("unvip", name, ann.login)


async def test_a_reader_without_a_name(
    instance: RunningInstance, toolchain: Toolchain, world: World
) -> None:
    channel = await world.person("chan")
    async with AsyncExitStack() as stack:
        tmi = await stack.enter_async_context(bot(toolchain, instance))
        await tmi("join", channel.login)
        web = await dial(instance.url)
        await web.hello(channel)
        await web.join(channel)
        await web.say(channel, "anybody there?")
        assert (await tmi.heard("chat"))[2] == "anybody there?"
        await web.say(channel, "/announce big news")
        assert (await tmi.heard("usernotice"))[0] == "announcement"
        await web.close()


async def test_a_wrong_token(instance: RunningInstance, toolchain: Toolchain, world: World) -> None:
    ann = await world.person("ann")
    with pytest.raises(AssertionError, match="Login unsuccessful"):
        async with bot(toolchain, instance, ann.login, "flat_1_wrong"):
            pass
