"""Full chat rooms in a process of their own, which says in rounds what it saw."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import uvloop

from bench.chat_clients import Crowd, Tally, crowd

#: A silent socket is asked at 45 s whether anybody is there; ours say so by themselves.
BEAT_S = 30.0
#: What was said last is waited for.
LAST_S = 5.0


@dataclass(frozen=True)
class Room:
    """A channel's room: how many sockets it has, and the tokens of those who speak."""

    login: str
    sockets: int
    tokens: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """Where the rooms are, how many messages a second are said in all of them, and when rounds end, Unix seconds."""

    address: tuple[str, int]
    rooms: Sequence[Room]
    rate: float
    ends: Sequence[float]


@dataclass
class Heard:
    """A round of all rooms. `delays_s` is of a sample, from saying to hearing."""

    wrong: int = 0
    lost: int = 0
    delays_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Chatting:
    """The process with the sockets."""

    process: BaseProcess
    results: Connection

    def round(self) -> Heard:
        """Wait for the end of a round."""
        heard: Heard = self.results.recv()
        return heard

    def missing(self) -> int:
        """After the last round: messages that sockets should have heard and did not. Everybody leaves."""
        missing: int = self.results.recv()
        self.results.send(None)
        self.process.join()
        return missing

    def started(self) -> None:
        """Wait until everybody has joined. Raises EOFError if that failed."""
        self.results.recv()


def chatting(
    address: tuple[str, int], rooms: Sequence[Room], rate: float, ends: Sequence[float]
) -> Chatting:
    """Fill rooms and speak in them, `rate` messages a second in all, until the last of `ends`, Unix seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    plan = Plan(address, rooms, rate, ends)
    process = context.Process(target=_run, args=(theirs, plan), daemon=True)
    process.start()
    theirs.close()
    return Chatting(process, ours)


def _run(results: Connection, plan: Plan) -> None:
    uvloop.run(_talk(results, plan))


async def _talk(results: Connection, plan: Plan) -> None:
    tally = Tally()
    crowds = [await crowd(plan.address, tally, r.login, r.sockets, r.tokens) for r in plan.rooms]
    results.send(None)
    length = max(0.0, plan.ends[-1] - time.time())
    rate = plan.rate / len(plan.rooms)
    talking = [asyncio.create_task(each.talk(rate, length)) for each in crowds]
    beating = asyncio.create_task(_beat(crowds))
    for end in plan.ends:
        await asyncio.sleep(max(0.0, end - time.time()))
        lost = sum(socket.lost for each in crowds for socket in each.sockets)
        delays, tally.delays_s = tally.delays_s, []
        results.send(Heard(tally.wrong, lost, delays))
    sent = await asyncio.gather(*talking)
    for each, count in zip(crowds, sent, strict=True):
        await each.heard(count, LAST_S)
    results.send(
        sum(
            max(0, count - socket.messages)
            for each, count in zip(crowds, sent, strict=True)
            for socket in each.sockets
        )
    )
    await asyncio.to_thread(results.recv)
    beating.cancel()
    for each in crowds:
        each.close()


async def _beat(crowds: Sequence[Crowd]) -> None:
    """Sockets that only listen say now and then that they are there (RFC 6455, section 5.5.3), evenly."""
    sockets = [socket for each in crowds for socket in each.sockets]
    while True:
        for socket in sockets:
            socket.pong()
            await asyncio.sleep(BEAT_S / len(sockets))
