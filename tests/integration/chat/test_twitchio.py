"""TwitchIO 2.10 as it comes from PyPI: only the addresses of the server and of the token check are others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import twitchio
import twitchio.websocket

from core.db.engine import open_database
from tests.chat_kit import World, dial
from tests.harness import RunningInstance, RunningServers
from tests.irc_kit import app_token

pytestmark = [
    pytest.mark.timeout(120),
    # Its own: a coroutine function as a default, futures that it forgets when it is closed.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest_asyncio.fixture
async def world(instance: RunningInstance) -> AsyncIterator[World]:
    """Accounts and channels of the whole instance."""
    settings = RunningServers(instance.data).settings()
    async with open_database(settings) as database:
        yield World(database, settings)


class Bot(twitchio.Client):  # type: ignore[misc]
    """Notes what happens."""

    def __init__(self, token: str, channels: list[str]) -> None:
        super().__init__(token, initial_channels=channels, loop=asyncio.get_running_loop())
        self.seen: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def event_ready(self) -> None:
        """Connected and in its rooms."""
        self.seen.put_nowait(("ready", self.nick))

    async def event_message(self, message: twitchio.Message) -> None:
        """Somebody has said something; one's own words come as an echo of its own making."""
        self.seen.put_nowait(("message", message))

    async def event_notice(self, message: str, msg_id: str, channel: Any) -> None:
        """The server has said something."""
        self.seen.put_nowait(("notice", msg_id))

    async def event_raw_usernotice(self, channel: Any, tags: dict[str, str]) -> None:
        """An announcement or a raid."""
        self.seen.put_nowait(("usernotice", tags["msg-id"]))

    async def event_raw_data(self, data: str) -> None:
        """Whole lines, for what it has no event for."""
        if " CLEARCHAT " in data or " CLEARMSG " in data:
            self.seen.put_nowait(("raw", data))

    async def event_error(self, error: Exception, data: str | None = None) -> None:
        """It could not read a line."""
        self.seen.put_nowait(("error", error))

    async def heard(self, kind: str, value: Any = None) -> Any:
        """The next event of that kind (and value). Nothing may go wrong before it."""
        async with asyncio.timeout(20):
            while True:
                name, content = await self.seen.get()
                assert name != "error", content
                if name == kind and (value is None or content == value):
                    return content


@asynccontextmanager
async def bot(
    instance: RunningInstance, patch: pytest.MonkeyPatch, token: str, *channels: str
) -> AsyncIterator[Bot]:
    """A connected bot."""
    patch.setattr(twitchio.websocket, "HOST", instance.url.replace("http", "ws", 1) + "/")
    client = Bot(token, list(channels))
    _validate_at(client, patch, f"{instance.url}/oauth2/validate")
    running = asyncio.create_task(client.connect())
    try:
        await running
        await client.heard("ready")
        yield client
    finally:
        await client.close()


def _validate_at(client: Bot, patch: pytest.MonkeyPatch, url: str) -> None:
    """Have it ask here who its token is; the address stands in the middle of a method of its own."""
    session = client._http.session = aiohttp.ClientSession()
    get = session.get

    def to_us(address: Any, **options: Any) -> Any:
        return get(
            url if str(address) == "https://id.twitch.tv/oauth2/validate" else address, **options
        )

    patch.setattr(session, "get", to_us, raising=False)


async def test_a_moderators_bot(
    instance: RunningInstance, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, mod, ann = [await world.person(name) for name in ("chan", "bot", "ann")]
    await world.role(channel, mod, "moderator")
    token = await app_token(world.database, mod)
    async with bot(instance, monkeypatch, token, channel.login) as client:
        assert client.nick == mod.login
        room = client.get_channel(channel.login)
        web = await dial(instance.url)
        await web.hello(ann)
        await web.join(channel)

        await room.send("hello from a bot")
        assert (await web.next("message", text="hello from a bot"))["user"]["login"] == mod.login
        echo = await client.heard("message")
        assert echo.echo

        said = await web.say(channel, "hi there")
        message = await client.heard("message")
        assert message.content == "hi there"
        assert (message.author.name, message.author.id) == (ann.login, str(ann.id))
        assert message.id == said["id"]
        await message.channel.send("/me nods")
        assert (await web.next("message", text="nods"))["kind"] == "action"

        await room.send(f"/delete {said['id']}")
        await client.heard("notice", "delete_message_success")
        await room.send(f"/timeout {ann.login} 60 spam")
        cleared = await client.heard("raw")
        while " CLEARCHAT " not in cleared:
            cleared = await client.heard("raw")
        assert "ban-duration=60;" in cleared
        await web.next("cleared", duration_s=60)
        await room.send(f"/unban {ann.login}")
        await client.heard("notice", "untimeout_success")
        await room.send(f"/ban {ann.login}")
        await client.heard("notice", "ban_success")
        await room.send("/slow 10")
        await client.heard("notice", "slow_on")
        await web.next("settings")
        await room.send("/announce big news")
        await client.heard("usernotice", "announcement")
        await web.close()


async def test_a_wrong_token(instance: RunningInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twitchio.websocket, "HOST", instance.url.replace("http", "ws", 1) + "/")
    client = Bot("flat_1_wrong", ["somebody"])
    _validate_at(client, monkeypatch, f"{instance.url}/oauth2/validate")
    # It closes itself then.
    with pytest.raises(twitchio.AuthenticationError):
        await client.connect()
