"""Twitch's IRC dialect through real sockets: the handshake, the rooms, moderation, limits."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from chat import irc, irc_gateway
from cli.instance import free_port
from core.app_tokens import Scope
from core.settings import Settings
from tests.chat_kit import Chat, Person, World, running_chat
from tests.harness import eventually_async
from tests.irc_kit import IrcClient, app_token, over_tcp, over_websocket


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With IRC over TCP."""
    return settings.model_copy(update={"irc_listen": f"127.0.0.1:{free_port(set())}"})


class Irc:
    """Clients of one chat process."""

    def __init__(self, chat: Chat, world: World, stack: AsyncExitStack) -> None:
        self.settings = chat.service.settings
        self.world = world
        self._stack = stack

    async def tcp(self) -> IrcClient:
        """A connection over TCP."""
        port = int(self.settings.irc_listen.rpartition(":")[2])
        return await self._stack.enter_async_context(over_tcp(port))

    async def websocket(self, protocol: str | None = "irc") -> IrcClient:
        """A connection over WebSocket."""
        path = self.settings.chat_socket_listen.removeprefix("unix:")
        return await self._stack.enter_async_context(over_websocket(path, protocol))

    async def joined(
        self, channel: Person, person: Person | None, *scopes: Scope, caps: str = "all"
    ) -> IrcClient:
        """A client over TCP that is in a room, logged in with an app token."""
        client = await self.tcp()
        token = "" if person is None else await app_token(self.world.database, person, *scopes)
        names = " ".join(irc.CAPABILITIES) if caps == "all" else caps
        await client.log_in(person, token, names)
        await client.join(channel)
        return client


@pytest_asyncio.fixture
async def irc_of(chat: Chat, world: World) -> AsyncIterator[Irc]:
    """Clients, which leave before the service does."""
    async with AsyncExitStack() as stack:
        yield Irc(chat, world, stack)


# --- saying who one is ----------------------------------------------------------------------------


async def test_the_handshake_line_by_line(irc_of: Irc, world: World) -> None:
    channel, bot = await world.person("chan"), await world.person("bot")
    token = await app_token(world.database, bot)
    client = await irc_of.tcp()
    await client.send("CAP REQ :twitch.tv/tags twitch.tv/commands twitch.tv/membership")
    await client.send(f"PASS oauth:{token}", f"NICK {bot.login}", f"JOIN #{channel.login}")
    lines = await client.barrier()
    own = f"{bot.login}.tmi.twitch.tv"
    assert lines[0] == f":tmi.twitch.tv CAP * ACK :{' '.join(irc.CAPABILITIES)}"
    assert [line.split()[1] for line in lines[1:8]] == [
        "001",
        "002",
        "003",
        "004",
        "375",
        "372",
        "376",
    ]
    assert lines[8].endswith(":tmi.twitch.tv GLOBALUSERSTATE")
    assert f";user-id={bot.id};" in lines[8]
    assert lines[9:12] == [
        f":{bot.login}!{bot.login}@{own} JOIN #{channel.login}",
        f":{own} 353 {bot.login} = #{channel.login} :{bot.login}",
        f":{own} 366 {bot.login} #{channel.login} :End of /NAMES list",
    ]
    assert lines[12].endswith(f":tmi.twitch.tv USERSTATE #{channel.login}")
    assert lines[13] == (
        f"@emote-only=0;followers-only=-1;r9k=0;slow=0;subs-only=0;room-id={channel.id} "
        f":tmi.twitch.tv ROOMSTATE #{channel.login}"
    )
    assert len(lines) == 14


@pytest.mark.parametrize("password", ["oauth:wrong", "flat_1_wrong", "oauth:flat_1_" + "a" * 28])
async def test_a_wrong_token_is_told_and_let_go(irc_of: Irc, password: str) -> None:
    client = await irc_of.tcp()
    await client.send(f"PASS {password}", "NICK somebody")
    assert await client.next("NOTICE") == ":tmi.twitch.tv NOTICE * :Login unsuccessful"
    await client.closed()


async def test_nothing_before_one_says_who_one_is(irc_of: Irc) -> None:
    client = await irc_of.tcp()
    await client.send("JOIN #ann", "NICK somebody", "PRIVMSG #ann :hi")
    lines = await client.barrier()
    assert len(lines) == 2
    assert all("Say who you are first" in line for line in lines)


async def test_somebody_without_a_name_reads(irc_of: Irc, chat: Chat, world: World) -> None:
    channel, ann = await world.person("chan"), await world.person("ann")
    speaker = await chat.joined(channel, ann)
    for client in (await irc_of.websocket(), await irc_of.websocket(None), await irc_of.tcp()):
        await client.log_in(None)
        await client.join(channel)
        await speaker.say(channel, f"hello {id(client)}")
        assert (await client.next("PRIVMSG")).endswith(
            f" PRIVMSG #{channel.login} :hello {id(client)}"
        )
        await client.say(channel, "me too")
        await client.next("@msg-id=msg_verified_email :tmi.twitch.tv NOTICE")


@pytest.mark.parametrize("way", ["tcp", "websocket"])
async def test_who_does_not_say_who_they_are_leaves(
    chat: Chat, world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(irc_gateway, "REGISTRATION_S", 2.0)
    async with AsyncExitStack() as stack:
        irc_of = Irc(chat, world, stack)
        named = await getattr(irc_of, way)()
        await named.log_in(None)
        silent = await getattr(irc_of, way)()
        await silent.send("CAP REQ :twitch.tv/tags", "PING :still here", "NICK somebody")
        await silent.closed()
        # Their time was over before.
        await named.barrier()


async def test_a_room_that_is_not_there(irc_of: Irc, world: World) -> None:
    client = await irc_of.tcp()
    await client.log_in(None)
    await client.send("JOIN #nobody_at_all")
    await client.next("@msg-id=msg_room_not_found :tmi.twitch.tv NOTICE #nobody_at_all :")


async def test_pings_of_every_taste(irc_of: Irc) -> None:
    client = await irc_of.websocket()
    await client.send("PING")
    assert await client.next("PONG") == "PONG :tmi.twitch.tv"
    await client.send("PING :tmi.twitch.tv")
    assert await client.next("PONG") == ":tmi.twitch.tv PONG tmi.twitch.tv :tmi.twitch.tv"


# --- talking --------------------------------------------------------------------------------------


async def test_both_dialects_meet_in_one_room(irc_of: Irc, chat: Chat, world: World) -> None:
    channel, ann, bot = [await world.person(name) for name in ("chan", "ann", "bot")]
    web = await chat.joined(channel, ann)
    client, reader = await irc_of.joined(channel, bot), await irc_of.joined(channel, None)

    said = await web.say(channel, "hi; all 👋")
    line = await client.next("PRIVMSG")
    message = irc.parse(line)
    assert message.params == (f"#{channel.login}", "hi; all 👋")
    assert message.source == f"{ann.login}!{ann.login}@{ann.login}.tmi.twitch.tv"
    assert message.tags["id"] == said["id"]
    assert message.tags["user-id"] == str(ann.id)
    assert message.tags["first-msg"] == "1"

    await client.send(f"@reply-parent-msg-id={said['id']} PRIVMSG #{channel.login} :hello yourself")
    # Their own message does not come back to them, their state does.
    lines = await client.barrier()
    assert [irc.parse(line).verb for line in lines] == ["USERSTATE"]
    heard = await web.next("message", text="hello yourself")
    assert heard["user"]["login"] == bot.login
    assert heard["reply_to"]["id"] == said["id"]
    seen = irc.parse(await reader.next("hello yourself"))
    assert not any("PRIVMSG" in line for line in await client.barrier())
    assert seen.tags["reply-parent-user-login"] == ann.login

    await client.send(f"PRIVMSG #{channel.login} :\x01ACTION waves\x01")
    assert (await web.next("message", text="waves"))["kind"] == "action"
    await reader.next("PRIVMSG #\\S+ :\x01ACTION waves\x01$")

    await client.send(f"PART #{channel.login}")
    await client.next(f":{bot.login}!\\S+ PART #{channel.login}$")
    await web.say(channel, "gone?")
    assert await client.barrier() == []


async def test_capabilities_say_what_comes(irc_of: Irc, chat: Chat, world: World) -> None:
    channel, ann, bot = [await world.person(name) for name in ("chan", "ann", "bot")]
    owner = await chat.joined(channel, channel)
    plain = await irc_of.joined(channel, bot, caps="")
    web = await chat.joined(channel, ann)
    await web.say(channel, "plain")
    assert await plain.next("PRIVMSG") == (
        f":{ann.login}!{ann.login}@{ann.login}.tmi.twitch.tv PRIVMSG #{channel.login} :plain"
    )
    await owner.say(channel, f"/timeout {ann.login} 60")
    assert await plain.barrier() == []
    # TwitchIO asks when it is already registered, and one at a time.
    await plain.send("CAP REQ :twitch.tv/commands", "CAP REQ :twitch.tv/tags", "CAP REQ :sasl")
    lines = await plain.barrier()
    assert [line.split()[3] for line in lines] == ["ACK", "ACK", "NAK"]
    await owner.say(channel, "/clear")
    await plain.next(rf"^@room-id={channel.id};tmi-sent-ts=[0-9]+ :tmi\.twitch\.tv CLEARCHAT #\S+$")


# --- moderation -----------------------------------------------------------------------------------


async def test_moderators_work_and_everybody_sees_it(irc_of: Irc, chat: Chat, world: World) -> None:
    channel, ann, mod = [await world.person(name) for name in ("chan", "ann", "mod")]
    await world.role(channel, mod, "moderator")
    bot, viewer = await irc_of.joined(channel, mod), await irc_of.joined(channel, None)
    web = await chat.joined(channel, ann)
    said = await web.say(channel, "buy followers")

    await bot.say(channel, f"/delete {said['id']}")
    await bot.next("@msg-id=delete_message_success :tmi.twitch.tv NOTICE")
    line = await viewer.next("CLEARMSG")
    assert line.startswith(f"@login={ann.login};room-id=;target-msg-id={said['id']};tmi-sent-ts=")
    assert line.endswith(f" :tmi.twitch.tv CLEARMSG #{channel.login} :buy followers")

    await bot.say(channel, f"/timeout {ann.login} 600 spam")
    await bot.next("@msg-id=timeout_success :tmi.twitch.tv NOTICE")
    line = await viewer.next("CLEARCHAT")
    assert line.startswith(
        f"@ban-duration=600;room-id={channel.id};target-user-id={ann.id};tmi-sent-ts="
    )
    assert line.endswith(f" :tmi.twitch.tv CLEARCHAT #{channel.login} :{ann.login}")
    assert (await web.say(channel, "please"))["code"] == "msg_timedout"
    await bot.say(channel, f"/untimeout {ann.login}")
    await bot.next("@msg-id=untimeout_success :tmi.twitch.tv NOTICE")

    await bot.say(channel, f"/ban {ann.login}")
    await bot.next("@msg-id=ban_success :tmi.twitch.tv NOTICE")
    assert "ban-duration" not in await viewer.next("CLEARCHAT")
    await bot.say(channel, f"/ban {ann.login}")
    await bot.next("@msg-id=already_banned :tmi.twitch.tv NOTICE")
    await bot.say(channel, f"/unban {ann.login}")
    await bot.next("@msg-id=unban_success :tmi.twitch.tv NOTICE")
    await bot.say(channel, f"/unban {ann.login}")
    await bot.next("@msg-id=bad_unban_no_ban :tmi.twitch.tv NOTICE")
    await bot.say(channel, f"/ban {channel.login}")
    await bot.next("@msg-id=bad_ban_broadcaster :tmi.twitch.tv NOTICE")

    await bot.say(channel, "/mods")
    assert (await bot.next("@msg-id=room_mods ")).endswith(f": {mod.login}")
    await bot.say(channel, "/vips")
    await bot.next("@msg-id=no_vips ")
    await bot.say(channel, f"/mod {ann.login}")
    await bot.next("@msg-id=no_permission ")


@pytest.mark.parametrize(
    ("on", "off", "name", "state"),
    [
        ("/slow 10", "/slowoff", "slow", "slow=10"),
        ("/followers 30m", "/followersoff", "followers", "followers-only=30"),
        ("/subscribers", "/subscribersoff", "subs", "subs-only=1"),
        ("/emoteonly", "/emoteonlyoff", "emote_only", "emote-only=1"),
        ("/r9kbeta", "/r9kbetaoff", "r9k", "r9k=1"),
    ],
)
async def test_modes(irc_of: Irc, world: World, on: str, off: str, name: str, state: str) -> None:
    channel = await world.person("chan")
    owner, viewer = await irc_of.joined(channel, channel), await irc_of.joined(channel, None)
    for text, code, partial in ((on, f"{name}_on", state), (off, f"{name}_off", "")):
        await owner.say(channel, text)
        for client in (owner, viewer):
            await client.next(
                f"^@msg-id={code} :tmi.twitch.tv NOTICE #{channel.login} :This room is"
            )
            line = await client.next("ROOMSTATE")
            assert partial in line
            assert line.count(";") == 1, "a partial state names what has changed and the room"
        # Said to the whole room, so not once more to who did it.
        assert not any("NOTICE" in line for line in await owner.barrier())


@pytest.mark.parametrize(
    ("text", "code", "state"),
    [
        ("/slowoff", "already_slow_off", "slow=0"),
        ("/followersoff", "already_followers_off", "followers-only=-1"),
        ("/emoteonlyoff", "already_emote_only_off", ""),
        ("/subscribersoff", "already_subs_off", ""),
        ("/r9kbetaoff", "already_r9k_off", ""),
    ],
)
async def test_a_mode_that_is_so_already(
    irc_of: Irc, world: World, text: str, code: str, state: str
) -> None:
    """tmi.js takes the notice for an answer, but of slow and followers-only mode wants to see the state."""
    channel = await world.person("chan")
    owner, viewer = await irc_of.joined(channel, channel), await irc_of.joined(channel, None)
    await owner.say(channel, text)
    told = await owner.barrier()
    assert told[0].startswith(f"@msg-id={code} :tmi.twitch.tv NOTICE #{channel.login} :")
    partial = f"@{state};room-id={channel.id} :tmi.twitch.tv ROOMSTATE #{channel.login}"
    assert told[1:] == ([partial] if state else [])
    assert await viewer.barrier() == []


async def test_what_keeps_a_message_out_is_told_with_twitchs_ids(
    irc_of: Irc, chat: Chat, world: World
) -> None:
    channel, bot = await world.person("chan"), await world.person("bot")
    owner, client = await chat.joined(channel, channel), await irc_of.joined(channel, bot)
    await client.say(channel, "one")
    await client.next("USERSTATE")
    await client.say(channel, "one")
    await client.next("@msg-id=msg_duplicate :tmi.twitch.tv NOTICE")
    await owner.say(channel, "/slow 60")
    await client.next("ROOMSTATE")
    await client.say(channel, "two")
    assert "Wait " in await client.next("@msg-id=msg_slowmode :tmi.twitch.tv NOTICE")
    await owner.say(channel, "/slowoff")
    await owner.say(channel, "/followers")
    await client.next("@msg-id=followers_on_zero ")
    await client.say(channel, "three")
    await client.next("@msg-id=msg_followersonly_zero ")
    for text, code in (
        ("/ban", "usage_ban"),
        ("/host ann", "unrecognized_cmd"),
        ("/ban ann_nobody", "invalid_user"),
        ("/clear", "no_permission"),
        ("/color nothing", "usage_color"),
    ):
        await client.say(channel, text)
        await client.next(f"@msg-id={code} :tmi.twitch.tv NOTICE")


async def test_a_colour_may_be_set_from_anywhere(irc_of: Irc, world: World) -> None:
    channel, bot = await world.person("chan"), await world.person("bot")
    client = await irc_of.joined(channel, bot)
    await client.send("PRIVMSG #tmijs :/color HotPink")
    await client.next("@msg-id=color_changed ")
    numbers = itertools.count()

    async def is_pink() -> bool:
        await client.say(channel, f"pink {next(numbers)}")
        return "color=#FF69B4;" in await client.next("USERSTATE|msg_ratelimit")

    # It comes round through Redis, as it does to every process.
    await eventually_async(is_pink, what="the new colour")


async def test_a_token_does_only_what_its_scopes_say(irc_of: Irc, world: World) -> None:
    channel = await world.person("chan")
    talker = await irc_of.joined(channel, channel, Scope.CHAT_READ, Scope.CHAT_EDIT)
    await talker.say(channel, "hello")
    await talker.next("USERSTATE")
    await talker.say(channel, "/clear")
    await talker.next("@msg-id=no_permission ")
    reader = await irc_of.joined(channel, channel, Scope.CHAT_READ)
    await reader.say(channel, "hello again")
    await reader.next("@msg-id=no_permission ")


# --- limits ---------------------------------------------------------------------------------------


async def test_a_line_without_end_ends_the_connection(irc_of: Irc) -> None:
    client = await irc_of.tcp()
    await client.raw("x" * (irc.LINE_BYTES + 10))
    await client.closed()


async def test_a_flood_ends_the_connection_and_nobody_elses(irc_of: Irc) -> None:
    other, client = await irc_of.tcp(), await irc_of.tcp()
    try:
        for _ in range(400):
            await client.send("PING")
    except ConnectionError:
        pass
    await client.closed()
    await other.barrier()


@pytest.mark.parametrize(
    "garbage", ["\x00\x01", "@", ":", "\udcff\udcfe", "GET / HTTP/1.1", "PRIVMSG"]
)
async def test_garbage_is_answered_and_at_last_too_much(irc_of: Irc, garbage: str) -> None:
    client = await irc_of.tcp()
    try:
        for _ in range(60):
            await client.send(garbage)
    except ConnectionError:
        pass
    await client.closed()


async def test_a_websocket_message_has_a_few_lines(irc_of: Irc) -> None:
    client = await irc_of.websocket()
    await client.raw("PING\r\nPING :x\nPING\r\n")
    assert len(await client.barrier()) == 3
    await client.raw("PING\r\n" * 1000)
    assert "lines" in (await client.barrier())[0]


async def test_clients_are_asked_to_come_back_when_the_service_stops(
    settings: Settings, world: World
) -> None:
    channel = await world.person("chan")
    async with AsyncExitStack() as stack:
        async with running_chat(settings) as chat:
            clients = Irc(chat, world, stack)
            tcp, web = await clients.joined(channel, None), await clients.websocket()
            await web.log_in(None)
        for client in (tcp, web):
            await client.next("^:tmi.twitch.tv RECONNECT$")
            await client.closed()


@pytest.mark.parametrize(
    ("line", "welcome"),
    [
        (b"PROXY TCP4 192.0.2.7 127.0.0.1 40000 6697\r\n", True),
        (b"PROXY TCP6 2001:db8::7 ::1 40000 6697\r\n", True),
        (b"PROXY UNKNOWN\r\n", True),
        (b"PROXY TCP4 192.0.2.7\r\n", False),
        (b"NICK justinfan1\r\n", False),
        (b"P" * 200, False),
    ],
)
async def test_behind_tls(
    settings: Settings, socket_folder: Path, line: bytes, welcome: bool
) -> None:
    """What comes from the nginx that speaks TLS says first who it is."""
    path = socket_folder / "irc.sock"
    changes = {
        "irc_listen": "",
        "irc_tls_listen": "127.0.0.1:1",
        "irc_proxied_listen": f"unix:{path}",
    }
    async with running_chat(settings.model_copy(update=changes)):
        reader, writer = await asyncio.open_unix_connection(path)
        # In two pieces, and with what follows right behind it.
        writer.write(line[:9])
        await writer.drain()
        writer.write(line[9:] + b"NICK justinfan1\r\n")
        said = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                said = await reader.read(1000)
        writer.close()
        assert (b" 001 justinfan1 " in said) is welcome


# --- /oauth2/validate -----------------------------------------------------------------------------


async def test_whose_token_it_is(chat: Chat, world: World) -> None:
    bot = await world.person("bot")
    token = await app_token(world.database, bot, Scope.CHAT_READ, Scope.CHAT_EDIT)
    path = chat.service.settings.chat_listen.removeprefix("unix:")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:

        async def ask(header: str | None) -> tuple[int, dict[str, object]]:
            headers = {} if header is None else {"Authorization": header}
            async with session.get("http://chat/oauth2/validate", headers=headers) as response:
                return response.status, await response.json()

        for scheme in ("OAuth", "Bearer", "oauth"):
            status, said = await ask(f"{scheme} {token}")
            assert status == 200
            assert said == {
                "client_id": "footlight", "login": bot.login, "user_id": str(bot.id),
                "scopes": ["chat:edit", "chat:read"], "expires_in": 0,
            }  # fmt: skip
        for wrong in (None, "OAuth nonsense", "Basic abc", f"OAuth {token}x"):
            assert await ask(wrong) == (401, {"status": 401, "message": "invalid access token"})
