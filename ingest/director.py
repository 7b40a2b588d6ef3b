"""Runs the sessions: asks the state machine, carries out what it answers, tells everybody.

Hooks, polls, events and deadlines come in; out go drops to nginx, inputs to the broadcasts, live
states to the edges, and rows and events to the database, each session's in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.models import StreamStatus
from core.errors import DomainError, Forbidden, Unavailable
from core.events import (
    Event,
    StreamEnded,
    StreamKeyRevoked,
    StreamReconnecting,
    StreamResumed,
    StreamStarted,
    UserDeleted,
)
from core.logs import logger
from core.outbox import emit
from core.settings import Settings
from ingest import store
from ingest.attempts import Attempt, Attempts
from ingest.broadcast import Broadcast, Kit, Verdict
from ingest.edge import Edges
from ingest.gate import MESSAGES, Gate, Rejected, rejected
from ingest.hooks import Call
from ingest.ledger import Ledger
from ingest.machine import Machine
from ingest.metrics import IngestMetrics
from ingest.nginx import IngestNginx
from ingest.publisher import MediaFolder
from ingest.session import (
    Admitted,
    Changed,
    Detach,
    Drop,
    Effect,
    EndReason,
    Phase,
    Policy,
    Refused,
    Session,
    Sessions,
    TakenOver,
)
from ingest.store import KeyRow
from ingest.tasks import Tasks
from ingest.thumbnails import Photographer

log = logger(__name__)

#: What viewers are told in each phase.
_STATES = {
    Phase.LIVE: "live",
    Phase.RECONNECTING: "reconnecting",
    Phase.RESUMING: "reconnecting",
    Phase.CLOSING: "live",
}
#: Removing media is put off this much past their window: a playlist may have just been fetched.
LINGER_S = 10.0


@dataclass(slots=True)
class Show:
    """Everything that belongs to one session."""

    session: Session
    login: str
    broadcast: Broadcast
    ledger: Ledger
    tasks: Tasks = field(default_factory=Tasks)
    stream_id: int | None = None
    started_at: datetime | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Director:
    """The one owner of this node's sessions."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        gate: Gate,
        attempts: Attempts,
        nginx: IngestNginx,
        edges: Edges,
        media: MediaFolder,
        machine: Machine,
        metrics: IngestMetrics,
    ) -> None:
        self.sessions = Sessions(
            Policy(
                grace_s=settings.grace_s,
                max_takeovers=settings.takeover_limit,
                takeover_window_s=settings.takeover_window_s,
            ),
            new_id=lambda: secrets.token_hex(8),
            new_name=lambda session: f"{session}-{secrets.token_hex(4)}",
        )
        self.shows: dict[str, Show] = {}
        self.tasks = Tasks()
        self._settings = settings
        self._database = database
        self._gate = gate
        self._attempts = attempts
        self._nginx = nginx
        self._edges = edges
        self._media = media
        self._metrics = metrics
        self._kit = Kit(
            settings=settings,
            media=media,
            edges=edges,
            nginx=nginx,
            machine=machine,
            photographer=Photographer(str(settings.ffmpeg_path)),
            metrics=metrics,
            host=self,
        )
        self._logins: dict[int, str] = {}
        #: Channels whose encoder sends sound that has to be transcoded.
        self._odd_audio: set[int] = set()
        self._admitting: dict[str, asyncio.Future[None]] = {}
        self._deadline_changed = asyncio.Event()
        self._stopping = False

    # Hooks (ingest.hooks.Desk)

    async def publish(self, call: Call) -> str:
        """Admit a publisher: its worker has subscribed when this returns the name to publish under."""
        began = time.monotonic()
        key: KeyRow | None = None
        try:
            if self._stopping:
                raise rejected("stopping")
            key = await self._gate.check(call.name)
            name = await self._admit(call, key)
        except Rejected as refusal:
            channel = refusal.channel_id or (key.channel_id if key else None)
            self._refused(call, channel, refusal)
            raise
        except Unavailable as error:
            self._refused(call, key.channel_id if key else None, rejected("unavailable"))
            log.error("publish_unavailable", reason=error.message, cause=repr(error.__cause__))
            raise
        log.info(
            "publish_admitted",
            channel_id=key.channel_id,
            name=name,
            address=call.address,
            ms=round((time.monotonic() - began) * 1000),
        )
        return name

    def _refused(self, call: Call, channel: int | None, refusal: DomainError) -> None:
        self._attempts.note(Attempt(channel, refusal.code, refusal.message))
        log.info("publish_refused", channel_id=channel, code=refusal.code, address=call.address)

    async def _admit(self, call: Call, key: KeyRow) -> str:
        channel = key.channel_id
        if self.sessions.of_channel(channel) is None and not self._media.has_room_for_another:
            raise rejected("media_full", channel)
        self._logins[channel] = key.login
        answer = self.sessions.admit(call.connection, channel, key.id, call.order, time.monotonic())
        if isinstance(answer, Refused):
            raise rejected(answer.reason.value, channel)
        name = answer.publisher.name
        if answer.repeat:
            with contextlib.suppress(KeyError):
                await self._admitting[name]
            return name
        waiting = asyncio.get_running_loop().create_future()
        self._admitting[name] = waiting
        try:
            await asyncio.gather(*self.carry_out(answer.effects))
            await self._prepare(answer)
        except BaseException:
            self.carry_out(self.sessions.abandon(call.connection, time.monotonic()))
            raise
        finally:
            del self._admitting[name]
            waiting.set_result(None)
        if answer.session.publisher is not answer.publisher:
            # Gone, or taken over, while its worker subscribed.
            raise rejected("stale_connection", channel)
        self._attempts.note(Attempt(channel, "accepted", "Your encoder is connected.", key.id))
        return name

    async def _prepare(self, admitted: Admitted) -> None:
        """Have the worker subscribe and the stream written down, side by side."""
        show = self.shows[admitted.session.id]
        await asyncio.gather(
            show.broadcast.connect(admitted.publisher.name), self._write_down(show)
        )

    async def _write_down(self, show: Show) -> None:
        """The stream's row, before anybody hears of it. Raises Unavailable."""
        session, publisher = show.session, show.session.publisher
        if publisher is None:
            raise rejected("stale_connection", session.channel_id)
        if show.stream_id is not None:
            return
        for other in list(self.shows.values()):
            if other.session.channel_id == session.channel_id and other is not show:
                # The end of the stream before this one is to be written first.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(other.ledger.settled(), 1)
        at = datetime.now(UTC)
        async with self._database.session() as transaction:
            show.stream_id, lost = await store.insert_stream(
                transaction,
                channel_id=session.channel_id,
                name=session.id,
                node=self._settings.node_id,
                key_id=publisher.key_id,
                publisher=_memory(session),
                at=at,
            )
            show.started_at = at
            for stream_id in lost:
                event = StreamEnded(
                    stream_id=stream_id,
                    channel_id=session.channel_id,
                    login=show.login,
                    session="",
                    at=at,
                    reason="taken_over",
                )
                await emit(transaction, event)

    async def play(self, call: Call) -> None:
        """Only our own workers play, each its own stream."""
        for show in self.shows.values():
            if show.broadcast.subscriber(call.name, call.connection.client):
                return
        raise Forbidden("Streams are not played from here.")

    async def update(self, call: Call) -> None:
        """A publisher goes on only while it is the one of its session."""
        if self.sessions.of_connection(call.connection) is None:
            log.info("publisher_not_ours", connection=str(call.connection))
            raise Forbidden("This publisher is not known.")

    def publish_done(self, call: Call) -> None:
        self.carry_out(self.sessions.publish_done(call.connection, call.order, time.monotonic()))

    def disconnect(self, call: Call) -> None:
        self.carry_out(self.sessions.disconnect(call.connection, call.order, time.monotonic()))

    # What broadcasts report (ingest.broadcast.Host)

    def playable(self, name: str) -> None:
        self.carry_out(self.sessions.media(name))

    def unusable(self, name: str, verdict: Verdict, code: str, message: str) -> None:
        session = self.sessions.of_name(name)
        if session is None:
            return
        log.warning("input_unusable", session=session.id, code=code, verdict=verdict.value)
        self._attempts.note(Attempt(session.channel_id, code, message))
        show = self.shows.get(session.id)
        if show and show.broadcast.transcode_audio:
            self._odd_audio.add(session.channel_id)
        now = time.monotonic()
        if verdict is Verdict.DROP:
            self.carry_out(self.sessions.dropped(name, now))
        else:
            self.carry_out(self.sessions.end(session.channel_id, EndReason.FAULT, now))

    def lost(self, name: str) -> None:
        self.carry_out(self.sessions.gone(name, time.monotonic()))

    def warned(self, session: str) -> None:
        show = self.shows.get(session)
        if show is None or show.session.phase is Phase.ENDED:
            return
        self._post_state(show)
        warnings = [warn.as_json() for warn in show.broadcast.warnings]
        self._write(show, warnings=warnings)

    # Events and questions from elsewhere

    async def happened(self, event: Event) -> None:
        """An event of another service."""
        now = time.monotonic()
        if isinstance(event, StreamKeyRevoked):
            self.carry_out(self.sessions.revoke(event.key_id, now))
        elif isinstance(event, UserDeleted):
            self.carry_out(self.sessions.end(event.user_id, EndReason.USER_DELETED, now))

    async def end_stream(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """`{channel_id}` → `{ended}`; None leaves the answer to the node that has the stream."""
        channel = int(question["channel_id"])
        if self.sessions.of_channel(channel) is None:
            return None if await self._runs_elsewhere(channel) else {"ended": False}
        show = self.shows[self.sessions.of_channel(channel).id]  # type: ignore[union-attr]
        self.carry_out(self.sessions.end(channel, EndReason.ENDED_BY_OWNER, time.monotonic()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(show.ledger.settled(), 2)
        return {"ended": True}

    async def _runs_elsewhere(self, channel: int) -> bool:
        async with self._database.session() as session:
            node = await store.node_of(session, channel)
        return node is not None and node != self._settings.node_id

    async def check_keys(self) -> None:
        """End streams whose key or account is no longer good, in case the event is lost."""
        in_use = [s.publisher.key_id for s in self.sessions.running() if s.publisher]
        if not in_use:
            return
        for key_id in await self._gate.revoked(in_use):
            self.carry_out(self.sessions.revoke(key_id, time.monotonic()))

    # Carrying out

    def carry_out(self, effects: Iterable[Effect]) -> list[asyncio.Task[None]]:
        """Act on effects in order; the drops among them, to wait for."""
        drops = []
        for effect in effects:
            match effect:
                case Drop():
                    drops.append(self.tasks.spawn(self._drop(effect), f"drop-{effect.name}"))
                case Detach():
                    if show := self.shows.get(effect.session.id):
                        show.broadcast.detach(effect.name)
                case Changed():
                    self._changed(effect)
                case TakenOver():
                    self._taken_over(effect)
        self._deadline_changed.set()
        return drops

    async def _drop(self, drop: Drop) -> None:
        log.info("publisher_dropped", name=drop.name, reason=drop.reason)
        try:
            await self._nginx.drop_publisher(drop.name)
        except Unavailable as error:
            # The reconciler finds it again as long as it is there.
            log.warning("drop_failed", name=drop.name, reason=error.message)

    def _changed(self, change: Changed) -> None:
        session = change.session
        if change.before is None:
            self._begin(session)
        show = self.shows[session.id]
        log.info(
            "session_changed",
            session=session.id,
            channel_id=session.channel_id,
            before=change.before.value if change.before else None,
            after=change.after.value,
            reason=session.end_reason.value if session.end_reason else None,
        )
        match change.after:
            case Phase.LIVE if change.before is Phase.CONNECTING:
                self._started(show)
            case Phase.LIVE:
                self._told(show, StreamResumed, status=StreamStatus.LIVE)
            case Phase.RECONNECTING:
                self._told(show, StreamReconnecting, status=StreamStatus.RECONNECTING)
            case Phase.RESUMING:
                self._write(show, publisher=_memory(session))
            case Phase.ENDED:
                self._ended(show)
            case _:
                pass
        self._post_state(show)
        self._count()

    def _begin(self, session: Session) -> None:
        broadcast = Broadcast(
            self._kit, session.id, transcode_audio=session.channel_id in self._odd_audio
        )
        self._media.make(session.id)
        self._add(Show(session, self._logins[session.channel_id], broadcast, self._new_ledger()))

    def _new_ledger(self) -> Ledger:
        return Ledger(self._database)

    def _add(self, show: Show) -> None:
        self.shows[show.session.id] = show
        show.tasks.spawn(show.ledger.run(), f"ledger-{show.session.id}")

    def _started(self, show: Show) -> None:
        at = show.started_at = datetime.now(UTC)
        stream_id, session = show.stream_id, show.session
        assert stream_id is not None
        event = StreamStarted(
            stream_id=stream_id,
            channel_id=session.channel_id,
            login=show.login,
            session=session.id,
            node=self._settings.node_id,
            started_at=at,
        )
        self._write(
            show,
            event,
            status=StreamStatus.LIVE,
            started_at=at,
            publisher=_memory(session),
            **_described(show.broadcast),
        )

    def _told(
        self,
        show: Show,
        kind: type[StreamResumed] | type[StreamReconnecting],
        status: StreamStatus,
    ) -> None:
        stream_id, session = show.stream_id, show.session
        if stream_id is None:
            return
        event = kind(
            stream_id=stream_id,
            channel_id=session.channel_id,
            login=show.login,
            session=session.id,
            at=datetime.now(UTC),
        )
        self._write(
            show,
            event,
            status=status,
            publisher=_memory(session),
            **_described(show.broadcast),
        )

    def _ended(self, show: Show) -> None:
        show.broadcast.end()
        if show.session.end_reason is EndReason.STOPPED:
            self._odd_audio.discard(show.session.channel_id)
        self.tasks.spawn(self._bury(show), f"bury-{show.session.id}")
        stream_id, session = show.stream_id, show.session
        if stream_id is None:
            return
        if not session.started:
            show.ledger.add(lambda transaction: store.delete_stream(transaction, stream_id))
            return
        at = datetime.now(UTC)
        reason = session.end_reason.value if session.end_reason else ""
        event = StreamEnded(
            stream_id=stream_id,
            channel_id=session.channel_id,
            login=show.login,
            session=session.id,
            at=at,
            reason=reason,
        )
        self._write(
            show,
            event,
            status=StreamStatus.ENDED,
            ended_at=at,
            end_reason=reason,
            viewers=0,
            warnings=[],
        )

    def _write(self, show: Show, event: Event | None = None, **values: Any) -> None:
        """Set columns of the stream's row, and tell of it in the same transaction."""
        stream_id = show.stream_id
        if stream_id is None:
            return

        async def entry(transaction: AsyncSession) -> None:
            await store.update_stream(transaction, stream_id, **values)
            if event is not None:
                await emit(transaction, event)

        show.ledger.add(entry)

    async def _bury(self, show: Show) -> None:
        """Keep the media for whoever still watches the end of it, then let everything go."""
        session = show.session.id
        try:
            await show.broadcast.finished.wait()
            if show.session.started:
                await asyncio.sleep(self._settings.media_window_s + LINGER_S)
            await show.ledger.settled()
        finally:
            await show.broadcast.close()
            await show.tasks.close()
        show.broadcast.withdraw()
        del self.shows[session]
        self._count()

    def _taken_over(self, effect: TakenOver) -> None:
        session = effect.session
        self._metrics.takeovers.inc()
        data = {
            "session": session.id,
            "old_key_id": effect.old.key_id,
            "new_key_id": effect.new.key_id,
        }
        self.shows[session.id].ledger.add(
            lambda transaction: store.add_audit(
                transaction,
                session.channel_id,
                "stream.taken_over",
                f"channel:{session.channel_id}",
                "",
                data,
            )
        )

    def _post_state(self, show: Show) -> None:
        """Tell the edges, and through them every open page, how the channel is."""
        session = show.session
        path = f"/channels/{show.login}"
        if session.phase is Phase.CONNECTING:
            return
        if session.phase is Phase.ENDED:
            other = self.sessions.of_channel(session.channel_id)
            if session.started and (other is None or not other.started):
                self._edges.put(path, _offline(show.login), {"X-Session": ""})
            return
        state = {
            "login": show.login,
            "state": _STATES[session.phase],
            "session": session.id,
            "stream_id": str(show.stream_id),
            "started_at": _rfc3339(show.started_at),
            "warnings": [
                warn.as_json() for warn in show.broadcast.warnings if warn.code in VIEWERS_CONCERN
            ],
        }
        self._edges.put(path, json.dumps(state), {"X-Session": session.id})

    def _count(self) -> None:
        phases = [session.phase for session in self.sessions.running()]
        for phase in Phase:
            if phase is not Phase.ENDED:
                self._metrics.sessions.labels(phase.value).set(phases.count(phase))
        self._metrics.media_bytes.set(self._media.used)

    # Loops

    async def keep_deadlines(self) -> None:
        """Carry out what falls due, until cancelled."""
        while True:
            self._deadline_changed.clear()
            due = self.sessions.next_deadline()
            timeout = None if due is None else max(0.0, due - time.monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._deadline_changed.wait(), timeout)
            self.carry_out(self.sessions.tick(time.monotonic()))

    async def stop(self) -> None:
        """Let go of everything without ending it: the next life of this service goes on."""
        self._stopping = True
        for show in list(self.shows.values()):
            await show.broadcast.close()
        await self.tasks.close()
        for show in list(self.shows.values()):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(show.ledger.settled(), 1)
            await show.tasks.close()


#: Warnings that viewers are told too.
VIEWERS_CONCERN = frozenset({"no_compatible_rendition"})


def _offline(login: str) -> str:
    state: dict[str, Any] = {
        "login": login,
        "state": "offline",
        "session": None,
        "stream_id": None,
        "started_at": None,
        "warnings": [],
    }
    return json.dumps(state)


def _rfc3339(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None


def _memory(session: Session) -> dict[str, Any]:
    """What the next life of this process needs to know of a session's publisher."""
    publisher = session.publisher
    if publisher is None:
        return {}
    return {
        "boot": publisher.connection.boot,
        "client": publisher.connection.client,
        "name": publisher.name,
        "key_id": publisher.key_id,
        "order": publisher.order,
    }


def _described(broadcast: Broadcast) -> dict[str, Any]:
    """The columns that say what is sent and what is offered."""
    info = broadcast.info
    if info is None:
        return {}
    return {
        "source": {
            "video": info.video,
            "audio": info.audio,
            "codecs": info.codecs,
            "width": info.width,
            "height": info.height,
            "frame_rate": info.frame_rate,
            "sample_rate": info.sample_rate,
            "channels": info.channels,
            "encoder": info.encoder,
        },
        "renditions": broadcast.renditions(),
    }


__all__ = ["MESSAGES", "Director", "Show"]
