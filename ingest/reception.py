"""The door: decides with the session machine whether a publisher may come in, and says why not."""

from __future__ import annotations

import asyncio
import contextlib
import time

from core.errors import DomainError, Forbidden, Unavailable
from core.logs import logger
from ingest.attempts import Attempt, Attempts
from ingest.director import Director
from ingest.gate import Gate, Rejected, rejected
from ingest.hooks import Call
from ingest.publisher import MediaFolder
from ingest.records import Records, Show
from ingest.session import Admitted, Connection, Refused
from ingest.store import KeyRow

log = logger(__name__)

#: With the check of the key (ingest.gate) less than the 9 s that nginx waits for an answer.
ADMIT_S = 4.0
#: The end of the stream before is written first, but a new one does not wait for it for ever.
SETTLE_S = 1.0


class Reception:
    """Answers nginx's hooks (`ingest.hooks.Desk`)."""

    def __init__(
        self,
        director: Director,
        *,
        gate: Gate,
        attempts: Attempts,
        records: Records,
        media: MediaFolder,
    ) -> None:
        self._director = director
        self._gate = gate
        self._attempts = attempts
        self._records = records
        self._media = media
        #: Connections whose publish waits for our answer.
        self._asking: set[Connection] = set()
        self._admitting: dict[str, asyncio.Future[None]] = {}

    async def publish(self, call: Call) -> str:
        """Admit a publisher: its worker has subscribed when this returns the name to publish under."""
        began = time.monotonic()
        key: KeyRow | None = None
        self._asking.add(call.connection)
        try:
            if self._director.stopping:
                raise rejected("stopping")
            key = await self._gate.check(call.name, call.address)
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
        if refusal.code != "too_many_guesses":
            log.info("publish_refused", channel_id=channel, code=refusal.code, address=call.address)

    async def _admit(self, call: Call, key: KeyRow) -> str:
        channel = key.channel_id
        if (
            self._director.sessions.of_channel(channel) is None
            and not self._media.has_room_for_another
        ):
            raise rejected("media_full", channel)
        self._director.logins[channel] = key.login
        answer = self._director.sessions.admit(
            call.connection, channel, key.id, call.order, time.monotonic()
        )
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
            await asyncio.gather(*self._director.carry_out(answer.effects))
            await self._prepare(answer)
        except BaseException:
            self._director.carry_out(
                self._director.sessions.abandon(call.connection, time.monotonic())
            )
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
        show = self._director.shows[admitted.session.id]
        await asyncio.gather(
            show.broadcast.inputs.connect(admitted.publisher.name), self._write_down(show)
        )

    async def _write_down(self, show: Show) -> None:
        """The stream's row, after the end of the channel's stream before it. Raises Unavailable."""
        for other in list(self._director.shows.values()):
            if other.session.channel_id == show.session.channel_id and other is not show:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(other.ledger.settled(), SETTLE_S)
        await self._records.begin(show)

    async def play(self, call: Call) -> None:
        """Only our own workers play, each its own stream."""
        for show in self._director.shows.values():
            if show.broadcast.inputs.subscriber(call.name, call.connection.client):
                return
        raise Forbidden("Streams are not played from here.")

    async def update(self, call: Call) -> None:
        """A publisher goes on only while it is the one of its session."""
        if call.connection in self._asking:
            # nginx asks about it every few seconds even while its publish waits for an answer.
            return
        if self._director.sessions.of_connection(call.connection) is None:
            log.info("publisher_not_ours", connection=str(call.connection))
            raise Forbidden("This publisher is not known.")

    def publish_done(self, call: Call) -> None:
        self._director.carry_out(
            self._director.sessions.publish_done(call.connection, call.order, time.monotonic())
        )

    def disconnect(self, call: Call) -> None:
        self._director.carry_out(
            self._director.sessions.disconnect(call.connection, call.order, time.monotonic())
        )
