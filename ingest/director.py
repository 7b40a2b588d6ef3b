"""Runs the sessions: asks the state machine, carries out what it answers, tells everybody.

Hooks, polls, events and deadlines come in; out go drops to nginx, inputs to the broadcasts, live
states to the edges, and rows and events to the database, each session's in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterable
from typing import Any

from core.errors import DomainError, Forbidden, Unavailable
from core.events import Event, StreamKeyRevoked, UserDeleted
from core.logs import logger
from core.settings import Settings
from ingest import states
from ingest.adoption import Left, ask_nginx, read_notes
from ingest.attempts import Attempt, Attempts
from ingest.broadcast import Broadcast, Kit, Verdict
from ingest.edge import Edges
from ingest.gate import MESSAGES, Gate, Rejected, rejected
from ingest.hooks import Call
from ingest.machine import Machine
from ingest.metrics import IngestMetrics
from ingest.nginx import IngestNginx
from ingest.packager.memory import Forgotten
from ingest.publisher import MediaFolder
from ingest.records import Records, Show
from ingest.session import (
    Admitted,
    Changed,
    Connection,
    Detach,
    Drop,
    Effect,
    EndReason,
    Phase,
    Policy,
    Refused,
    Session,
    Sessions,
    Silent,
    TakenOver,
)
from ingest.store import KeyRow
from ingest.tasks import Tasks
from ingest.thumbnails import Photographer

log = logger(__name__)

#: With the check of the key (ingest.gate) less than the 9 s that nginx waits for an answer.
ADMIT_S = 4.0
#: What is still to be written down when the service stops gets this long.
LAST_WORDS_S = 1.5
#: Removing media is put off this much past their window: a playlist may have just been fetched.
LINGER_S = 10.0


class Director:
    """The one owner of this node's sessions."""

    def __init__(
        self,
        settings: Settings,
        *,
        records: Records,
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
        self._records = records
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
        self._asking: set[Connection] = set()
        self._admitting: dict[str, asyncio.Future[None]] = {}
        self._deadline_changed = asyncio.Event()
        self._stopping = False

    # Hooks (ingest.hooks.Desk)

    async def publish(self, call: Call) -> str:
        """Admit a publisher: its worker has subscribed when this returns the name to publish under."""
        began = time.monotonic()
        key: KeyRow | None = None
        self._asking.add(call.connection)
        try:
            if self._stopping:
                raise rejected("stopping")
            key = await self._gate.check(call.name)
            async with asyncio.timeout(ADMIT_S):
                name = await self._admit(call, key)
        except TimeoutError as error:
            self._refused(call, key.channel_id if key else None, rejected("unavailable"))
            raise rejected("unavailable") from error
        except Rejected as refusal:
            channel = refusal.channel_id or (key.channel_id if key else None)
            self._refused(call, channel, refusal)
            raise
        except Unavailable as error:
            self._refused(call, key.channel_id if key else None, rejected("unavailable"))
            log.error("publish_unavailable", reason=error.message, cause=repr(error.__cause__))
            raise
        finally:
            self._asking.discard(call.connection)
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
        """The stream's row, after the end of the channel's stream before it. Raises Unavailable."""
        for other in list(self.shows.values()):
            if other.session.channel_id == show.session.channel_id and other is not show:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(other.ledger.settled(), 1)
        await self._records.begin(show)

    async def play(self, call: Call) -> None:
        """Only our own workers play, each its own stream."""
        for show in self.shows.values():
            if show.broadcast.subscriber(call.name, call.connection.client):
                return
        raise Forbidden("Streams are not played from here.")

    async def update(self, call: Call) -> None:
        """A publisher goes on only while it is the one of its session."""
        if call.connection in self._asking:
            # nginx asks about it every few seconds even while its publish waits for an answer.
            return
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
        states.post(self._edges, show)
        self._records.warned(show)

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
        session = self.sessions.of_channel(channel)
        if session is None:
            return None if await self._records.runs_elsewhere(channel) else {"ended": False}
        show = self.shows[session.id]
        self.carry_out(self.sessions.end(channel, EndReason.ENDED_BY_OWNER, time.monotonic()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(show.ledger.settled(), 2)
        return {"ended": True}

    def flowing(self, now: float) -> set[str]:
        """Names of the inputs whose media arrived in the last seconds."""
        names = (show.broadcast.flowing(now) for show in self.shows.values())
        return {name for name in names if name is not None}

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
                case Silent():
                    code = "nothing_playable"
                    self._attempts.note(Attempt(effect.session.channel_id, code, MESSAGES[code]))
                case TakenOver():
                    self._metrics.takeovers.inc()
                    self._records.taken_over(self.shows[effect.session.id], effect.old, effect.new)
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
                self._records.started(show)
            case Phase.LIVE:
                self._records.resumed(show)
            case Phase.RECONNECTING:
                self._records.reconnecting(show)
            case Phase.RESUMING:
                self._records.attached(show)
            case Phase.ENDED:
                self._ended(show)
            case _:
                pass
        show.broadcast.remember(show.identity)
        states.post(self._edges, show)
        self._count()

    def _begin(self, session: Session) -> None:
        broadcast = Broadcast(
            self._kit, session.id, transcode_audio=session.channel_id in self._odd_audio
        )
        self._media.make(session.id)
        self._add(
            Show(session, self._logins[session.channel_id], broadcast, self._records.ledger())
        )

    def _add(self, show: Show) -> None:
        self.shows[show.session.id] = show
        show.tasks.spawn(show.ledger.run(), f"ledger-{show.session.id}")

    def _ended(self, show: Show) -> None:
        session = show.session
        if session.end_reason is EndReason.STOPPED:
            self._odd_audio.discard(session.channel_id)
        other = self.sessions.of_channel(session.channel_id)
        if session.started and (other is None or not other.started):
            states.post_offline(self._edges, show.login)
        self._records.ended(show)
        show.broadcast.end()
        self.tasks.spawn(self._bury(show), f"bury-{session.id}")

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
        channel = self.sessions.of_channel(show.session.channel_id)
        show.broadcast.withdraw(*(() if channel else (states.path(show.login),)))
        del self.shows[session]
        self._count()

    def _count(self) -> None:
        phases = [session.phase for session in self.sessions.running()]
        for phase in Phase:
            if phase is not Phase.ENDED:
                self._metrics.sessions.labels(phase.value).set(phases.count(phase))
        self._metrics.media_bytes.set(self._media.used)

    # After a restart

    async def adopt(self) -> None:
        """Take up what an earlier life of this process was running."""
        stat = await ask_nginx(self._nginx)
        for name in self._media.adopt():
            left = read_notes(self._media, name, stat, self._settings.grace_s, time.monotonic())
            if left is None or self.sessions.of_channel(left.session.channel_id):
                self.tasks.spawn(self._clear_away(name), f"clear-{name}")
            else:
                self._take_up(left)
        self.tasks.spawn(self._lose_rows(), "lose-rows")

    def _take_up(self, left: Left) -> None:
        session = left.session
        broadcast = Broadcast(self._kit, session.id)
        show = Show(session, left.login, broadcast, self._records.ledger())
        show.stream_id, show.started_at = left.stream_id, left.started_at
        try:
            broadcast.go_on()
        except Forgotten as error:
            log.error("session_forgotten", session=session.id, reason=str(error))
            self.tasks.spawn(self._clear_away(session.id), f"clear-{session.id}")
            return
        self.sessions.adopt(session)
        self._add(show)
        self._logins[session.channel_id] = left.login
        log.info("session_adopted", session=session.id, phase=session.phase.value)
        publisher = session.publisher
        if publisher is None:
            self._records.reconnecting(show)
        elif broadcast.can_join_late:
            self.tasks.spawn(self._rejoin(show, publisher.name), f"rejoin-{session.id}")
        else:
            self.carry_out(self.sessions.dropped(publisher.name, time.monotonic()))
        show.broadcast.remember(show.identity)
        states.post(self._edges, show)
        self._count()

    async def _rejoin(self, show: Show, name: str) -> None:
        try:
            await show.broadcast.connect(name)
        except Unavailable:
            self.carry_out(self.sessions.dropped(name, time.monotonic()))

    async def _clear_away(self, name: str) -> None:
        """Media of a session that is over: players may still be at its end."""
        await asyncio.sleep(self._settings.media_window_s + LINGER_S)
        self._edges.delete(f"/sessions/{name}")
        self._media.remove(name)

    async def _lose_rows(self) -> None:
        """End the rows of streams that could not be taken up."""
        while True:
            try:
                for row in await self._records.running():
                    if row.session not in self.shows:
                        log.warning("stream_lost", stream_id=row.id, session=row.session)
                        await self._records.lose(row)
                        if self.sessions.of_channel(row.channel_id) is None:
                            states.post_offline(self._edges, row.login)
                return
            except Unavailable:
                await asyncio.sleep(1)

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
        shows = list(self.shows.values())
        await asyncio.gather(*(show.broadcast.close() for show in shows))
        await self.tasks.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await asyncio.gather(*(show.ledger.settled() for show in shows))
        await asyncio.gather(*(show.tasks.close() for show in shows))
