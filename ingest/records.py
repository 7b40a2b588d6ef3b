"""What the database and the rest of the system learn of a session: its row, and events with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.models import StreamStatus
from core.events import (
    Event,
    StreamEnded,
    StreamReconnecting,
    StreamResumed,
    StreamStarted,
)
from core.outbox import emit
from ingest import store
from ingest.broadcast import Broadcast
from ingest.ledger import Ledger
from ingest.session import EndReason, Publisher, Session
from ingest.tasks import Tasks


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

    @property
    def identity(self) -> dict[str, Any]:
        """What another life of this process needs to know of the session; JSON."""
        publisher = self.session.publisher
        return {
            "stream_id": self.stream_id,
            "channel_id": self.session.channel_id,
            "login": self.login,
            "started_at": self.started_at.isoformat() if self.started_at else None,
            "phase": self.session.phase.value,
            "publisher": publisher_json(publisher) if publisher else None,
        }


def publisher_json(publisher: Publisher) -> dict[str, Any]:
    """A publisher for the database and for the session's notes."""
    return {
        "boot": publisher.connection.boot,
        "client": publisher.connection.client,
        "name": publisher.name,
        "key_id": publisher.key_id,
        "order": publisher.order,
    }


class Records:
    """Writes a session's changes through its ledger, in order, each with its event."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node

    def ledger(self) -> Ledger:
        """A new session's ledger."""
        return Ledger(self._database)

    async def begin(self, show: Show) -> None:
        """The stream's row, before anybody hears of it. Raises Unavailable."""
        session, publisher = show.session, show.session.publisher
        if show.stream_id is not None or publisher is None:
            return
        at = datetime.now(UTC)
        async with self._database.session() as transaction:
            show.stream_id, lost = await store.insert_stream(
                transaction,
                channel_id=session.channel_id,
                name=session.id,
                node=self._node,
                key_id=publisher.key_id,
                publisher=publisher_json(publisher),
                at=at,
            )
            show.started_at = at
            for stream_id in lost:
                await emit(
                    transaction,
                    StreamEnded(
                        stream_id=stream_id,
                        channel_id=session.channel_id,
                        login=show.login,
                        session="",
                        at=at,
                        reason="taken_over",
                    ),
                )

    async def lose(self, row: store.StreamRow) -> None:
        """A stream that this node ran and can no longer. Raises Unavailable."""
        at = datetime.now(UTC)
        async with self._database.session() as transaction:
            if row.status is StreamStatus.CONNECTING:
                await store.delete_stream(transaction, row.id)
                return
            await store.update_stream(
                transaction, row.id, status=StreamStatus.ENDED, ended_at=at, end_reason="lost"
            )
            await emit(
                transaction,
                StreamEnded(
                    stream_id=row.id,
                    channel_id=row.channel_id,
                    login=row.login,
                    session=row.session,
                    at=at,
                    reason="lost",
                ),
            )

    async def running(self) -> list[store.StreamRow]:
        """Streams that the database has running here. Raises Unavailable."""
        async with self._database.session() as session:
            return await store.running_streams(session, self._node)

    async def runs_elsewhere(self, channel: int) -> bool:
        """Whether another node has the channel's stream. Raises Unavailable."""
        async with self._database.session() as session:
            node = await store.node_of(session, channel)
        return node is not None and node != self._node

    def started(self, show: Show) -> None:
        """The first picture is there."""
        if show.stream_id is None:
            return
        session = show.session
        at = show.started_at = datetime.now(UTC)
        event = StreamStarted(
            stream_id=show.stream_id,
            channel_id=session.channel_id,
            login=show.login,
            session=session.id,
            node=self._node,
            started_at=at,
        )
        described = _described(show.broadcast)
        self._write(show, event, status=StreamStatus.LIVE, started_at=at, **described)

    def resumed(self, show: Show) -> None:
        """The picture is back."""
        self._told(show, StreamResumed, StreamStatus.LIVE)

    def reconnecting(self, show: Show) -> None:
        """The publisher is gone, perhaps for a moment."""
        self._told(show, StreamReconnecting, StreamStatus.RECONNECTING)

    def _told(
        self,
        show: Show,
        kind: type[StreamResumed] | type[StreamReconnecting],
        status: StreamStatus,
    ) -> None:
        if show.stream_id is None:
            return
        session = show.session
        event = kind(
            stream_id=show.stream_id,
            channel_id=session.channel_id,
            login=show.login,
            session=session.id,
            at=datetime.now(UTC),
        )
        self._write(show, event, status=status, **_described(show.broadcast))

    def attached(self, show: Show) -> None:
        """Another connection feeds the stream."""
        publisher = show.session.publisher
        if publisher is not None:
            self._write(show, key_id=publisher.key_id, publisher=publisher_json(publisher))

    def warned(self, show: Show) -> None:
        """The warnings are others than before."""
        self._write(show, warnings=[warn.as_json() for warn in show.broadcast.watch.warnings])

    def ended(self, show: Show) -> None:
        """The session is over; one that never had a picture is forgotten."""
        stream_id, session = show.stream_id, show.session
        if stream_id is None:
            return
        if not session.started:
            show.ledger.add(lambda transaction: store.delete_stream(transaction, stream_id))
            return
        at = datetime.now(UTC)
        reason = (session.end_reason or EndReason.FAULT).value
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

    def taken_over(self, show: Show, old: Publisher, new: Publisher) -> None:
        """For the audit log."""
        channel = show.session.channel_id
        data = {"session": show.session.id, "old_key_id": old.key_id, "new_key_id": new.key_id}
        show.ledger.add(
            lambda transaction: store.add_audit(
                transaction, channel, "stream.taken_over", f"channel:{channel}", "", data
            )
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
