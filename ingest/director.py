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

from core.errors import Unavailable
from core.events import Event, StreamKeyRevoked, UserDeleted, UserSuspended
from core.instance_settings import CurrentSettings
from core.logs import logger
from core.settings import Settings
from ingest import states
from ingest.adoption import Left, ask_nginx, read_notes
from ingest.attempts import Attempt, Attempts
from ingest.broadcast import Broadcast
from ingest.confined import Launcher
from ingest.edge import Edges
from ingest.gate import MESSAGES
from ingest.kit import Kit, Verdict
from ingest.machine import Machine
from ingest.metrics import IngestMetrics
from ingest.nginx import IngestNginx
from ingest.packager.memory import Forgotten
from ingest.publisher import MediaFolder
from ingest.records import Records, Show
from ingest.salvage import finish_all
from ingest.session import (
    Changed,
    Detach,
    Drop,
    Effect,
    EndReason,
    Phase,
    Policy,
    Session,
    Sessions,
    Silent,
    TakenOver,
)
from ingest.spool import Spool
from ingest.tasks import Tasks
from ingest.thumbnails import Photographer

log = logger(__name__)

#: What is still to be written down when the service stops gets this long.
LAST_WORDS_S = 1.5
#: Rows without a session are looked for this often, seconds.
ROWS_S = 15.0
#: Removing media is put off this much past their window: a playlist may have just been fetched.
LINGER_S = 10.0


def policy_of(settings: Settings, current: CurrentSettings) -> Policy:
    """What the settings say of sessions."""
    return Policy(
        grace_s=current.now.grace_s,
        max_takeovers=settings.takeover_limit,
        takeover_window_s=settings.takeover_window_s,
    )


class Director:
    """The one owner of this node's sessions."""

    def __init__(
        self,
        settings: Settings,
        current: CurrentSettings,
        *,
        records: Records,
        attempts: Attempts,
        nginx: IngestNginx,
        edges: Edges,
        media: MediaFolder,
        spool: Spool,
        machine: Machine,
        metrics: IngestMetrics,
    ) -> None:
        self.sessions = Sessions(
            policy_of(settings, current),
            new_id=lambda: secrets.token_hex(8),
            new_name=lambda session: f"{session}-{secrets.token_hex(4)}",
        )
        self.shows: dict[str, Show] = {}
        self.tasks = Tasks()
        self._settings = settings
        self._current = current
        self._records = records
        self._attempts = attempts
        self._nginx = nginx
        self._edges = edges
        self._media = media
        self._metrics = metrics
        launcher = Launcher(str(settings.ffmpeg_path), settings.ingest_pull_url)
        self._kit = Kit(
            settings=settings,
            current=current,
            media=media,
            spool=spool,
            edges=edges,
            nginx=nginx,
            machine=machine,
            photographer=Photographer(launcher),
            launcher=launcher,
            metrics=metrics,
            host=self,
        )
        self.logins: dict[int, str] = {}
        #: Channels whose encoder sends sound that has to be transcoded.
        self._odd_audio: set[int] = set()
        self._deadline_changed = asyncio.Event()
        self.stopping = False
        current.on_change(lambda: self._obey(policy_of(settings, current)))

    def _obey(self, policy: Policy) -> None:
        """The settings changed: what is cut from now on waits as long as they say."""
        self.sessions.policy = policy

    # What broadcasts report (ingest.kit.Host)

    def playable(self, name: str) -> None:
        self.carry_out(self.sessions.media(name))

    def unusable(self, name: str, verdict: Verdict, code: str, message: str) -> None:
        session = self.sessions.of_name(name)
        if session is None:
            return
        log.warning("input_unusable", session=session.id, code=code, verdict=verdict.value)
        self._attempts.note(Attempt(session.channel_id, code, message))
        show = self.shows.get(session.id)
        if show and show.broadcast.inputs.transcode_audio:
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
        elif isinstance(event, UserSuspended):
            self.carry_out(self.sessions.end(event.user_id, EndReason.SUSPENDED, now))

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

    async def open_segments(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """`{session}` → `{complete, segments}` (core.events.OPEN_SEGMENTS); None when another node has it."""
        show = self.shows.get(str(question["session"]))
        if show is None:
            return None
        return {
            "complete": show.broadcast.complete_msn,
            "segments": [
                {
                    "rendition": segment.rendition,
                    "msn": segment.msn,
                    "init": segment.init_name,
                    "start_s": segment.start,
                    "duration_s": segment.duration,
                    "pdt": segment.program_date_time.isoformat(),
                    "discontinuity": segment.discontinuity,
                    "parts": segment.parts,
                }
                for segment in show.broadcast.open_segments()
            ],
        }

    def flowing(self, now: float) -> set[str]:
        """Names of the inputs whose media arrived in the last seconds."""
        names = (show.broadcast.inputs.flowing(now) for show in self.shows.values())
        return {name for name in names if name is not None}

    def keys_in_use(self) -> list[int]:
        """Stream keys that somebody publishes with."""
        return [s.publisher.key_id for s in self.sessions.running() if s.publisher]

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
                        show.broadcast.inputs.detach(effect.name)
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
        broadcast.tape.begin()
        self._media.make(session.id)
        self._add(Show(session, self.logins[session.channel_id], broadcast, self._records.ledger()))

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

    async def adopt(self) -> list[Show]:
        """Take up what an earlier life of this process was running; what came of it."""
        adopted = []
        stat = await ask_nginx(self._nginx)
        for name in self._media.adopt():
            left = read_notes(self._media, name, stat, self._current.now.grace_s, time.monotonic())
            if left is None or self.sessions.of_channel(left.session.channel_id):
                self.tasks.spawn(self._clear_away(name), f"clear-{name}")
            elif show := self._take_up(left):
                adopted.append(show)
        left_over = [name for name in self._kit.spool.unfinished() if name not in self.shows]
        self.tasks.spawn(asyncio.to_thread(finish_all, self._kit, left_over), "finish-recordings")
        return adopted

    def _take_up(self, left: Left) -> Show | None:
        session = left.session
        broadcast = Broadcast(self._kit, session.id)
        show = Show(session, left.login, broadcast, self._records.ledger())
        show.stream_id, show.started_at = left.stream_id, left.started_at
        try:
            broadcast.go_on()
        except Forgotten as error:
            log.error("session_forgotten", session=session.id, reason=str(error))
            self.tasks.spawn(self._clear_away(session.id), f"clear-{session.id}")
            return None
        self.sessions.adopt(session)
        self._add(show)
        self.logins[session.channel_id] = left.login
        log.info("session_adopted", session=session.id, phase=session.phase.value)
        if session.publisher is None:
            self._records.reconnecting(show)
        show.broadcast.remember(show.identity)
        states.post(self._edges, show)
        self._count()
        return show

    def rejoin(self, adopted: list[Show]) -> None:
        """Subscribe again to the publishers of sessions taken up, now that hooks are answered."""
        for show in adopted:
            publisher = show.session.publisher
            if publisher is None:
                continue
            if show.broadcast.can_join_late:
                name = f"rejoin-{show.session.id}"
                self.tasks.spawn(self._rejoin(show, publisher.name), name)
            else:
                self.carry_out(self.sessions.dropped(publisher.name, time.monotonic()))

    async def _rejoin(self, show: Show, name: str) -> None:
        try:
            await show.broadcast.inputs.connect(name)
        except Unavailable:
            self.carry_out(self.sessions.dropped(name, time.monotonic()))

    async def _clear_away(self, name: str) -> None:
        """Media of a session that is over: players may still be at its end."""
        await asyncio.sleep(self._settings.media_window_s + LINGER_S)
        self._edges.delete(f"/sessions/{name}")
        self._media.remove(name)

    # Loops

    async def keep_rows(self) -> None:
        """End the rows of streams that this node does not run (any more), until cancelled."""
        while True:
            with contextlib.suppress(Unavailable):
                for row in await self._records.running():
                    if row.session not in self.shows:
                        log.warning("stream_lost", stream_id=row.id, session=row.session)
                        await self._records.lose(row)
                        if self.sessions.of_channel(row.channel_id) is None:
                            states.post_offline(self._edges, row.login)
            await asyncio.sleep(ROWS_S)

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
        self.stopping = True
        shows = list(self.shows.values())
        await asyncio.gather(*(show.broadcast.close() for show in shows))
        await self.tasks.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await asyncio.gather(*(show.ledger.settled() for show in shows))
        await asyncio.gather(*(show.tasks.close() for show in shows))
