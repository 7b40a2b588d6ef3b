"""The rooms that this process has open, and the one subscription of each.

A room is opened when its first socket joins and closed when it has been empty for a while. Should the
connection to Redis be lost, every room catches up from its log when it is back: nothing that was
accepted meanwhile is missed, nothing is passed on twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from chat import facts, history
from chat.automod import Policy
from chat.metrics import ChatMetrics
from chat.reaching import UNREACHABLE
from chat.reload import Reload
from chat.rooms import Room
from chat.sessions import Event
from chat.store import CONTROL, Audience, Logged, channel
from core.bus import obey_cancellation
from core.db.engine import Database
from core.errors import DomainError, Unavailable
from core.instance_settings import CurrentSettings
from core.logs import logger
from core.settings import Settings

log = logger(__name__)

IDLE_S = 30.0
TICK_S = 5.0
RETRY_S = 0.5
# Events that a catching-up room takes from the log at a time.
CATCH_UP = 1000
# An error of the subscription's connection is ours to see: redis would dial again by itself, beside us.
_NO_RETRY = Retry(NoBackoff(), 0, supported_errors=())

Control = Callable[[dict[str, Any], Room | None], None]


class Rooms:
    """Every open room, by channel id."""

    def __init__(
        self,
        redis: Redis,
        database: Database,
        reload: Reload,
        settings: Settings,
        current: CurrentSettings,
        metrics: ChatMetrics,
    ) -> None:
        self.open: dict[int, Room] = {}
        self._ids: dict[str, int] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        # Confirmations that are waited for, and the rooms, by the names they are published under.
        self._subscribed: dict[bytes, asyncio.Event] = {}
        self._by_channel: dict[bytes, Room] = {}
        # Rooms that may have missed messages, and those whose facts may be others by now.
        self._behind: set[int] = set()
        self._doubted: set[int] = set()
        self._wake = asyncio.Event()
        self._pubsub = redis.pubsub()
        # Of two who dialled at once, one's connection would be nobody's.
        self._dialling = asyncio.Lock()
        self._database = database
        self._reload = reload
        self._store = reload.store
        self._settings = settings
        self._current = current
        self._metrics = metrics
        self.connected = asyncio.Event()
        # Set by whoever reacts to control messages.
        self.on_control: Control | None = None
        # Adds what is under way in a room that is being opened: a poll, a raid.
        self.on_open: Callable[[Room], Awaitable[None]] | None = None

    # --- opening ----------------------------------------------------------------------------------

    def find(self, login: str) -> Room | None:
        """The room of a login, if it is open."""
        return self.open.get(self._ids.get(login, -1))

    async def get(self, login: str) -> Room:
        """The room of a login, opened if need be. Raises NotFound, Unavailable."""
        room = self.find(login)
        if room is not None:
            return room
        lock = self._opening.setdefault(login, asyncio.Lock())
        try:
            async with lock:
                return self.find(login) or await self._open(login)
        finally:
            if not lock.locked():
                self._opening.pop(login, None)

    async def _open(self, login: str) -> Room:
        async with self._database.session() as session:
            found = await facts.channel_by_login(session, login)
        shown = self._current.now.chat_join_history
        room = Room(found, self._settings.chat_flush_s, shown, self._metrics)
        # Subscribed first and loaded then: what happens in between waits in `early`.
        await self._subscribe(room)
        try:
            await self.refresh(room)
            await self._fill(room)
            if self.on_open is not None:
                await self.on_open(room)
        except BaseException:
            await self._unsubscribe(room)
            raise
        self._ids[login] = room.id
        self.open[room.id] = room
        if room.id in self._behind:
            self._wake.set()
        else:
            room.release()
        room.idle_since = asyncio.get_running_loop().time()
        self._metrics.rooms.set(len(self.open))
        return room

    async def refresh(self, room: Room) -> None:
        """Read again how the room is run. The revision comes first: what changes later is seen."""
        position = await self._reload.ensure(room.id, room.offset)
        async with self._database.session() as session:
            read = await facts.room_facts(session, room.id)
            room.channel = await facts.channel_by_id(session, room.id)
        room.facts = read
        room.policy = Policy.compile(read.automod, read.blocked, read.permitted, read.links_action)
        room.rev, room.epoch = position.rev, position.epoch

    async def _fill(self, room: Room) -> None:
        """The last messages, and the offset of the last one."""
        position = await self._reload.ensure(room.id)
        keep = room.recent.maxlen or 0
        found = await self._store.latest(room.id, keep)
        gone = await self._store.gone(room.id)
        if len(found) < keep:
            async with self._database.session() as session:
                older = await history.latest(session, room.id, keep)
            known = {entry.offset for entry in found}
            found = sorted([*found, *(e for e in older if e.offset not in known)], key=_offset)
        events = [_event(entry) for entry in found]
        room.recent.extend(event for event in events if event.content["id"] not in gone)
        room.offset = max([position.seq, *(entry.offset for entry in found)])

    async def _subscribe(self, room: Room) -> None:
        name = channel(room.id).encode()
        self._subscribed[name] = confirmed = asyncio.Event()
        self._by_channel[name] = room
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                async with self._speaking():
                    await self._pubsub.subscribe(name)
                await confirmed.wait()
        except UNREACHABLE as error:
            self._by_channel.pop(name, None)
            raise Unavailable("Chat is not available just now. Try again in a moment.") from error

    async def _unsubscribe(self, room: Room) -> None:
        name = channel(room.id).encode()
        self._by_channel.pop(name, None)
        self._subscribed.pop(name, None)
        with contextlib.suppress(*UNREACHABLE):
            async with self._speaking():
                await self._pubsub.unsubscribe(name)

    @contextlib.asynccontextmanager
    async def _speaking(self) -> AsyncIterator[None]:
        """The subscription's connection, made anew if it was lost, and nobody else's meanwhile. Raises
        RedisError, OSError, TimeoutError.
        """
        async with self._dialling:
            try:
                if self._pubsub.subscribed:
                    await self._pubsub.connect()  # type: ignore[no-untyped-call]
                else:
                    await self._pubsub.subscribe(CONTROL)
                    if self._pubsub.connection is not None:
                        self._pubsub.connection.retry = _NO_RETRY
                yield
            except BaseException:
                # It may be half made, or half said.
                await self._hang_up()
                raise

    async def _hang_up(self) -> None:
        if self._pubsub.connection is not None:
            with contextlib.suppress(*UNREACHABLE):
                await self._pubsub.connection.disconnect(nowait=True)

    # --- what is published ------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take in what is published, for ever."""
        while True:
            obey_cancellation()
            try:
                async with self._speaking():
                    pass
                # Bounded, so that a dead connection is found by its health check.
                message = await self._pubsub.get_message(timeout=5.0)
                if message is not None:
                    self._take(message)
            except UNREACHABLE as error:
                if self.connected.is_set():
                    log.warning("redis_lost", error=repr(error))
                self.connected.clear()
                # Not under somebody who is about to write.
                async with self._dialling:
                    await self._hang_up()
                await asyncio.sleep(RETRY_S)

    def _take(self, message: dict[str, Any]) -> None:
        name: bytes = message["channel"]
        if message["type"] == "subscribe":
            self._confirmed(name)
        elif message["type"] == "message":
            if name == CONTROL.encode():
                self._control(json.loads(message["data"]), None)
                return
            room = self._by_channel.get(name)
            if room is not None:
                self._published(room, message["data"])

    def _published(self, room: Room, data: bytes) -> None:
        kind = data[:1].decode()
        if kind == Audience.CONTROL:
            self._control(json.loads(data[1:]), room)
        elif kind == Audience.ONE:
            who, _, payload = data.partition(b":")
            room.happened(Event(who.decode(), payload))
        else:
            room.happened(Event(kind, data[1:]))

    def _control(self, content: dict[str, Any], room: Room | None) -> None:
        if self.on_control is not None:
            self.on_control(content, room)

    def _confirmed(self, name: bytes) -> None:
        """A subscription holds: the first time, or again after the connection was lost."""
        self.connected.set()
        confirmed = self._subscribed.get(name)
        if confirmed is not None and not confirmed.is_set():
            confirmed.set()
            return
        room = self._by_channel.get(name)
        if room is not None:
            # What comes now waits for what came before it and was missed.
            room.hold()
            self._behind.add(room.id)
            self._doubted.add(room.id)
            self._wake.set()

    async def catch_up(self) -> None:
        """Bring rooms up to date after the connection to Redis was lost; for ever."""
        while True:
            obey_cancellation()
            await self._wake.wait()
            self._wake.clear()
            # First what somebody waits for, in all rooms; then what takes longer.
            done = await self._each(self._behind, self._pass_on_missed)
            if not await self._each(self._doubted, self._look_again) or not done:
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _each(self, rooms: set[int], step: Callable[[Room], Awaitable[None]]) -> bool:
        """Do something with each of these rooms and strike it out; whether none has to be tried again. Ends
        early when the connection was lost once more.
        """
        done = True
        for channel_id in sorted(rooms):
            if self._wake.is_set():
                break
            room = self.open.get(channel_id)
            if room is None and channel(channel_id).encode() in self._by_channel:
                # It is being opened, and looked at when it is.
                continue
            # Before, so that a connection that is lost meanwhile counts.
            rooms.discard(channel_id)
            try:
                if room is not None:
                    await step(room)
            except DomainError as error:
                log.warning("catch_up_waits", channel_id=channel_id, reason=error.message)
                rooms.add(channel_id)
                done = False
        return done

    async def _pass_on_missed(self, room: Room) -> None:
        """What was missed, then what waited for it."""
        while True:
            entries = await self._store.log(room.id, room.offset, CATCH_UP)
            for entry in entries:
                room.pass_on(_event(entry))
            if len(entries) < CATCH_UP:
                break
        if room.id not in self._behind:
            room.release()

    async def _look_again(self, room: Room) -> None:
        """Redis may have been restarted, and words that a room was decided about may have been missed."""
        await self._reload.ensure(room.id, room.offset, restarted=True)
        await self.refresh(room)

    # --- closing ----------------------------------------------------------------------------------

    async def close_idle(self) -> None:
        """Close rooms that have been empty for a while; for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            now = asyncio.get_running_loop().time()
            for room in list(self.open.values()):
                if room.idle_since is not None and now - room.idle_since > IDLE_S:
                    self.open.pop(room.id, None)
                    self._ids.pop(room.channel.login, None)
                    room.close()
                    await self._unsubscribe(room)
            self._metrics.rooms.set(len(self.open))

    async def close(self) -> None:
        """Let go of the subscription."""
        with contextlib.suppress(*UNREACHABLE):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]


def _event(entry: Logged) -> Event:
    return Event(Audience.ALL, entry.frame)


def _offset(entry: Logged) -> int:
    return entry.offset
