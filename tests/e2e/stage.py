"""A running instance and what tests of the live path do with it: channels, streamers, processes, rows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
import asyncpg

from bench.stage import Channel, make_channel
from tests.e2e.follower import Follower, wait_for_state
from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import VIDEO, Sample, Tag
from tests.harness import RunningInstance, eventually_async, start_instance

T = TypeVar("T")
#: Added to every promise: the test's own doings, and a moment of bad luck.
NOISE_S = 1.0
#: OBS waits longer between attempts; what is measured is ours, not its patience.
REDIAL_S = 0.2


class Contention:
    """How much longer things take because others want this machine's cores as well.

    Counted from its making, by the share of time that this thread was ready to run and did not.
    """

    def __init__(self) -> None:
        self._before = self._read()

    @property
    def factor(self) -> float:
        """So many times as long: 1.0 on an idle machine."""
        ran, waited = (b - a for a, b in zip(self._before, self._read(), strict=True))
        return (ran + waited) / max(ran, 1)

    def limit(self, promised_s: float) -> float:
        """What a promise of `promised_s` seconds comes to here and now."""
        return promised_s * self.factor + NOISE_S

    @staticmethod
    def _read() -> tuple[int, int]:
        ran, waited, _ = Path("/proc/thread-self/schedstat").read_text().split()
        return int(ran), int(waited)


@dataclass
class Stage:
    """One instance. Every stream key made through it is remembered in `keys`."""

    instance: RunningInstance
    keys: list[str] = field(default_factory=list)

    @property
    def http(self) -> str:
        return self.instance.url

    @property
    def rtmp_port(self) -> int:
        return int(self.instance.info["rtmp"].split(":")[2].split("/")[0])

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the instance's services."""
        found: dict[str, str] = self.instance.info["environment"]
        return found

    @property
    def media(self) -> Path:
        return Path(self.environment["FOOTLIGHT_MEDIA_DIR"])

    def socket(self, name: str) -> Path:
        """One of the unix sockets of our processes."""
        return Path(self.environment["FOOTLIGHT_RUN_DIR"]) / f"{name}.sock"

    @contextlib.asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        """A new account with a stream key, and its owner's HTTP client."""
        async with await make_channel(self.http, self.instance.info["rtmp"]) as channel:
            self.keys.append(channel.key)
            yield channel

    async def publisher(self, key: str) -> Connection:
        """A connection that may send media now. Raises Rejected, with what the streamer is told."""
        newest = "select id, code, message from publish_attempts order by id desc limit 1"
        before = await self.rows(newest)
        connection = await Connection.open(self.rtmp_port)
        try:
            await connection.publish(key)
        except Rejected as error:
            await connection.cut()

            async def reason() -> list[dict[str, Any]]:
                # Written down after the answer.
                told = await self.rows(newest)
                return told if told != before else []

            told = await eventually_async(reason, within_s=5, what=f"the reason of {error}")
            raise Rejected(f"{error}: {told}") from error
        except BaseException:
            await connection.cut()
            raise
        return connection

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        connection = await asyncpg.connect(
            host=self.environment["FOOTLIGHT_RUN_DIR"], user="footlight", database="footlight"
        )
        try:
            return [dict(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def streams(self, login: str) -> list[dict[str, Any]]:
        """The channel's broadcasts so far, oldest first."""
        return await self.rows(
            "select s.* from streams s join users u on u.id = s.channel_id"
            " where u.login = $1 order by s.id",
            login,
        )

    async def attempts(self, channel: Channel) -> list[dict[str, Any]]:
        """What the streamer is told about their attempts, newest first."""
        answer = await channel.client.get("/api/v1/me/stream")
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["attempts"]
        return found

    async def broadcasts(self, login: str, *wanted: tuple[str, str | None]) -> list[dict[str, Any]]:
        """The channel's broadcasts once their (status, end reason) are `wanted`: what is true is
        written down a moment later.
        """

        async def written() -> list[dict[str, Any]]:
            streams = await self.streams(login)
            assert [(each["status"], each["end_reason"]) for each in streams] == list(wanted)
            return streams

        return await eventually_async(written, within_s=5, what=f"{login}'s broadcasts")

    def workers(self, session: str) -> list[int]:
        """The ffmpeg processes that carry the source of `session`."""
        return [
            pid
            for pid in descendants(self.instance.process.pid)
            if (words := command_line(pid)) and "ffmpeg" in words[0]
            if any(f"/{session}" in word for word in words)
        ]


def settings(**changes: object) -> dict[str, str]:
    """Environment variables for an instance that is sized for tests; `changes` are settings by their
    lower-case names.
    """
    chosen: dict[str, object] = {
        "ladder": "off",
        "grace_s": 4,
        "reconcile_interval_s": 1,
        "rate_limit_factor": 1000,
        **changes,
    }
    return {f"FOOTLIGHT_{name.upper()}": str(value) for name, value in chosen.items()}


@contextlib.contextmanager
def start_stage(
    data: Path, *arguments: str, behind: Sequence[str] = (), **changes: object
) -> Iterator[Stage]:
    """An instance of its own, sized for tests; `arguments` are those of `up`, and `behind` a command that
    runs it in its own place.
    """
    # How soon it is ready is not what these tests are about.
    environment = settings(**changes)
    with start_instance(
        data, *arguments, environment=environment, within_s=180, behind=behind
    ) as instance:
        yield Stage(instance)


@dataclass
class Leg:
    """One connection of a streamer: when it was let in, where in the sample it began (ms), and what was sent
    over it.
    """

    connection: Connection
    began: float
    start: int
    sent: list[Tag] = field(default_factory=list)

    def units(self, kind: int = VIDEO) -> list[bytes]:
        """The access units that were sent."""
        return [tag.media for tag in self.sent if tag.kind == kind and not tag.is_header]


class Streamer:
    """An encoder that goes on by itself, as OBS does: when its connection is lost it dials again, and
    goes on with the next keyframe that its camera makes.
    """

    def __init__(self, stage: Stage, key: str, sample: Sample) -> None:
        self.legs: list[Leg] = []
        self.refusals = 0
        #: Cleared, nothing is dialled.
        self.may_dial = asyncio.Event()
        self.may_dial.set()
        self._stage = stage
        self._port = stage.rtmp_port
        self._key = key
        self._sample = sample
        self._headers = [tag for tag in sample.tags if tag.is_header]
        # By their times, too: two pictures of a long sample may be the same bytes, each a difference to the
        # one before it.
        frames = [tag for tag in sample.tags if tag.kind == VIDEO and not tag.is_header]
        known = zip(frames, sample.numbers, strict=True)
        self._numbers = {(tag.time, tag.media): number for tag, number in known}
        self._task: asyncio.Task[None] | None = None
        self._began = 0.0
        self._sending = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._began = time.monotonic()
        self.go_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._cancel()
        for leg in self.legs:
            await leg.connection.cut()

    @property
    def connection(self) -> Connection:
        return self.legs[-1].connection

    async def sending(self, leg: int = 0) -> None:
        """Wait until connection number `leg` has been let in."""
        while len(self.legs) <= leg:
            self._sending.clear()
            await self._sending.wait()

    def numbers(self, leg: Leg) -> list[int]:
        """The numbers of the pictures that were sent over `leg`. For samples without B-frames."""
        sent = [tag for tag in leg.sent if tag.kind == VIDEO]
        return [self._numbers[tag.time + leg.start, tag.media] for tag in sent]

    async def stop(self) -> None:
        """OBS's Stop."""
        await self._cancel()
        await self.connection.stop()

    async def freeze(self) -> None:
        """Send nothing more and close nothing; `go_on` dials anew, as an encoder that lost patience."""
        await self._cancel()

    def go_on(self) -> None:
        self._task = asyncio.create_task(self._run(), name="streamer")

    async def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self.may_dial.wait()
            try:
                connection = await Connection.open(self._port)
                try:
                    await connection.publish(self._key)
                except BaseException:
                    await connection.cut()
                    raise
            except (Rejected, OSError):
                self.refusals += 1
                await asyncio.sleep(REDIAL_S)
                continue
            await self._send(connection)

    async def _send(self, connection: Connection) -> None:
        now = time.monotonic()
        position = 0.0 if not self.legs else (now - self._began) * 1000
        tags = self._sample.tags
        first = next(i for i, tag in enumerate(tags) if tag.is_keyframe and tag.time >= position)
        start = tags[first].time
        leg = Leg(connection, now, start)
        self.legs.append(leg)
        self._sending.set()
        if len(self.legs) == 1:
            self._began = now
        for tag in self._headers:
            connection.send(Tag(tag.kind, 0, tag.payload))
        try:
            for tag in tags[first:]:
                moved = Tag(tag.kind, max(0, tag.time - start), tag.payload)
                await connection.push([moved], began=self._began + start / 1000)
                leg.sent.append(moved)
        except Rejected:
            await connection.cut()
            return
        raise AssertionError("the sample is too short for this test")


async def watch(stage: Stage, login: str) -> tuple[Follower, asyncio.Task[None]]:
    """Follow the channel's source from its start."""
    follower = Follower(stage.http, login, only=("source",))
    return follower, asyncio.create_task(follower.run(), name=f"follow {login}")


async def state_of(
    stage: Stage, login: str, *wanted: str, within_s: float = 30.0
) -> dict[str, Any]:
    """The channel's live state once it is one of `wanted`."""
    async with aiohttp.ClientSession() as client:
        return await wait_for_state(client, stage.http, login, *wanted, within_s=within_s)


async def together(*coroutines: Coroutine[Any, Any, T]) -> list[T]:
    """What all of them return, in order. When one fails the others are ended, and it is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in coroutines]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


# Processes


def descendants(pid: int) -> list[int]:
    """Every process that descends from `pid`, however deep."""
    found: list[int] = []
    pending = [pid]
    while pending:
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{pending.pop()}/task").iterdir():
                pending += (int(word) for word in (thread / "children").read_text().split())
        found += (pid for pid in pending if pid not in found)
    return found


def command_line(pid: int) -> list[str]:
    """argv of a process; empty when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def kill(*pids: int) -> float:
    """kill -9; when (monotonic)."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return time.monotonic()


@contextlib.contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """SIGSTOP while the block runs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
