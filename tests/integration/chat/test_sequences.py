"""Any order of commands, over two processes: what a viewer sees is what the moderators let through, once."""

from __future__ import annotations

import random

import pytest

from core.errors import DomainError
from tests.chat_kit import Chat, ChatClient, Person, World

STEPS = 70


class Model:
    """What ought to be seen."""

    def __init__(self) -> None:
        self.banned: set[int] = set()
        self.held: set[str] = set()
        self.waiting: dict[str, int] = {}
        self.shown: list[str] = []
        self.gone: set[str] = set()


class Play:
    """A room with three who talk, two who moderate and one who watches."""

    def __init__(
        self, chat: Chat, other: Chat, channel: Person, mods: list[Person], talkers: list[Person]
    ) -> None:
        self.chat, self.other = chat, other
        self.channel, self.mods, self.talkers = channel, mods, talkers
        self.model = Model()
        self.sockets: dict[int, ChatClient] = {}
        self.count = 0

    async def open(self) -> ChatClient:
        """Everybody comes in, on different processes."""
        for index, person in enumerate([*self.mods, *self.talkers]):
            place = self.other if index % 2 else self.chat
            self.sockets[person.id] = await place.joined(self.channel, person)
        return await self.other.joined(self.channel)

    async def step(self, choose: random.Random) -> None:
        """One thing happens."""
        talker, mod = choose.choice(self.talkers), choose.choice(self.mods)
        what = choose.choice(
            ("say", "say", "say", "link", "ban", "unban", "decide", "delete", "reconnect")
        )
        await getattr(self, what)(talker, mod, choose)

    async def say(
        self, talker: Person, _mod: Person, _choose: random.Random, word: str = ""
    ) -> None:
        self.count += 1
        answer = await self.sockets[talker.id].say(self.channel, f"{self.count} {word}".strip())
        if talker.id in self.model.banned:
            assert answer["code"] == "msg_banned"
        elif word:
            assert answer["code"] in ("msg_rejected", "msg_ratelimit")
        elif answer["type"] == "message":
            self.model.shown.append(answer["id"])
        else:
            assert answer["code"] == "msg_ratelimit"

    async def link(self, talker: Person, mod: Person, choose: random.Random) -> None:
        await self.say(talker, mod, choose, "https://example.com/")
        if talker.id not in self.model.banned:
            watcher = self.sockets[self.mods[0].id]
            await watcher.barrier()
            for frame in watcher.seen:
                if frame["type"] == "held" and frame["id"] not in self.model.held:
                    self.model.held.add(frame["id"])
                    self.model.waiting[frame["id"]] = int(frame["user"]["id"])

    async def ban(self, talker: Person, mod: Person, _choose: random.Random) -> None:
        answer = await self.sockets[mod.id].say(self.channel, f"/ban {talker.login}")
        expected = "already_banned" if talker.id in self.model.banned else "ban_success"
        if answer["code"] != "msg_ratelimit":
            assert answer["code"] == expected
            self.model.banned.add(talker.id)

    async def unban(self, talker: Person, mod: Person, _choose: random.Random) -> None:
        answer = await self.sockets[mod.id].say(self.channel, f"/unban {talker.login}")
        expected = "unban_success" if talker.id in self.model.banned else "bad_unban_no_ban"
        assert answer["code"] == expected
        self.model.banned.discard(talker.id)

    async def decide(self, _talker: Person, mod: Person, choose: random.Random) -> None:
        if not self.model.waiting:
            return
        held = choose.choice(sorted(self.model.waiting))
        author = self.model.waiting.pop(held)
        decision = choose.choice(("allow", "deny"))
        question = {
            "op": "held.decide",
            "channel_id": self.channel.id,
            "actor": {"id": mod.id, "login": mod.login},
            "held_id": held,
            "decision": decision,
        }
        try:
            await self.chat.decide(question)
        except DomainError as error:
            assert error.code == "msg_banned"
            assert decision == "allow" and author in self.model.banned
            return
        if decision == "allow":
            self.model.shown.append(held)

    async def delete(self, _talker: Person, mod: Person, choose: random.Random) -> None:
        if self.model.shown:
            gone = choose.choice(self.model.shown)
            answer = await self.sockets[mod.id].say(self.channel, f"/delete {gone}")
            assert answer["code"] == "delete_message_success"
            self.model.gone.add(gone)

    async def reconnect(self, talker: Person, _mod: Person, _choose: random.Random) -> None:
        await self.sockets[talker.id].close()
        self.sockets[talker.id] = await self.chat.joined(self.channel, talker)


@pytest.mark.parametrize("seed", range(3))
async def test_any_sequence(chat: Chat, other: Chat, world: World, seed: int) -> None:
    channel = await world.person("chan")
    mods = [channel, await world.person("mod")]
    await world.role(channel, mods[1], "moderator")
    talkers = [await world.person("talker") for _ in range(3)]
    play = Play(chat, other, channel, mods, talkers)
    viewer = await play.open()
    owner = play.sockets[channel.id]
    await chat.decide(
        {
            "op": "settings.set",
            "channel_id": channel.id,
            "actor": {"id": channel.id, "login": channel.login},
            "changes": {"links_from": "moderators", "links_action": "hold"},
        }
    )
    await owner.barrier()
    choose = random.Random(seed)
    for _ in range(STEPS):
        await play.step(choose)
    mark = await owner.say(channel, "the end")
    seen: list[str] = []
    while not seen or seen[-1] != mark["id"]:
        frame = await viewer.next("message")
        seen.append(frame["id"])
    assert seen[:-1] == play.model.shown
    assert not any(frame["type"] == "held" for frame in viewer.seen)
    newcomer = await other.client()
    history = [message["id"] for message in (await newcomer.join(channel))["history"]]
    assert not set(history) & play.model.gone
    assert set(history) <= {*play.model.shown, mark["id"]}
