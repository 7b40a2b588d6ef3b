"""NATS: events through JetStream, questions between services by request and reply.

PostgreSQL is the truth and NATS may be gone, or wiped, at any time. The connection never gives up,
the event stream and its consumers are made again when they are missing, and whatever must not be
lost waits in the outbox (`core.outbox`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError, ServiceUnavailableError

from core.errors import (
    DomainError,
    Malformed,
    RateLimited,
    Unavailable,
)
from core.events import Event, decode
from core.lanes import Lanes
from core.logs import logger
from core.settings import Settings
from core.streams import EVENTS, Stream

log = logger(__name__)

RECONNECT_S = 0.5
ACK_WAIT_S = 30.0
# A worker that has not finished by then gives the message back.
WORK_S = ACK_WAIT_S / 2
FETCH_S = 5.0
# Questions that one responder works on side by side, and that may wait behind one of them: each of
# those has an asker who gives up within seconds.
ANSWERED_AT_ONCE, WAITING_IN_LANE = 16, 64

Handler = Callable[[Event], Awaitable[None]]
Worker = Callable[[bytes], Awaitable[None]]
Responder = Callable[[dict[str, Any]], Awaitable[Mapping[str, Any] | None]]
# Of a question; those with the same are answered in the order in which they came.
Lane = Callable[[dict[str, Any]], Hashable]


def obey_cancellation() -> None:
    """Raise the CancelledError that a client swallowed, if one did: NATS' while it flushes, Redis' in
    the moment in which a command has just been sent.

    A loop that uses one calls this in every round; without it, it could not be ended.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Bus:
    """A connection to NATS that comes back by itself."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._timeout = settings.request_timeout_s
        self._replicas = settings.nats_replicas
        self._js = client.jetstream(timeout=settings.request_timeout_s)
        self._first_connection = asyncio.Event()
        self._responders: list[tuple[_Answering, str]] = []
        self._subscriptions: list[tuple[Subscription, _Answering]] = []
        self._overhearing: list[Callable[[], Awaitable[None]]] = []
        self._begun = False

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._client.is_connected

    @property
    def server_version(self) -> str:
        """The version of the server that is connected; empty when none is."""
        found = self._client.connected_server_version if self.is_connected else None
        return f"{found.major}.{found.minor}.{found.patch}" if found else ""

    async def check(self) -> None:
        """Raise Unavailable unless NATS answers, and has JetStream."""
        self._require_connection()
        try:
            await self._js.account_info()
        except ServiceUnavailableError as error:
            raise Unavailable("NATS has no JetStream: it is to be started with it.") from error
        except (NatsError, JetStreamError, OSError, TimeoutError) as error:
            raise Unavailable("The event bus does not answer.") from error

    async def connected(self) -> None:
        """Wait for the first connection, and for what was asked for before it to reach the server."""
        await self._first_connection.wait()
        await self.check()

    def _require_connection(self) -> None:
        # While it is down the client would queue what is sent and deliver it at some later time.
        if not self._client.is_connected:
            raise Unavailable("The event bus does not answer.")

    async def connect(self, settings: Settings) -> None:
        """Connect, however long it takes; then the client itself reconnects for ever."""
        self._begun = True
        await _connect(self._client, settings)
        for answering, queue in self._responders:
            await self._subscribe(answering, queue)
        for begin in self._overhearing:
            await begin()
        self._first_connection.set()

    async def close(self, timeout_s: float) -> None:
        """Close the connection, if one was ever begun, when what was asked is answered."""
        await self._stop_answering(timeout_s)
        if self._begun:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                await asyncio.wait_for(self._client.close(), timeout_s)

    # --- events -----------------------------------------------------------------------------------

    async def publish(
        self, subject: str, payload: bytes, message_id: str, stream: Stream = EVENTS
    ) -> None:
        """Store a message in JetStream; returns once it is kept. Raises Unavailable.

        The same `message_id` within the duplicate window is stored once.
        """
        self._require_connection()
        headers = {"Nats-Msg-Id": message_id}
        try:
            try:
                await self._js.publish(subject, payload, timeout=self._timeout, headers=headers)
            except (NotFoundError, NoRespondersError, JetStreamError) as error:
                if isinstance(error, TimeoutError):
                    raise
                # The stream is missing: a new NATS, or one that was wiped.
                await self.ensure_stream(stream)
                await self._js.publish(subject, payload, timeout=self._timeout, headers=headers)
        except (NatsError, JetStreamError, OSError, TimeoutError) as error:
            raise Unavailable("The event bus does not answer.") from error

    async def ensure_stream(self, stream: Stream = EVENTS) -> None:
        """Make a stream, or bring it to the present configuration."""
        config = stream.config(self._replicas)
        try:
            await self._js.update_stream(config)
        except NotFoundError:
            await self._js.add_stream(config)

    async def consume(self, durable: str, events: list[type[Event]], handle: Handler) -> None:
        """Give every event of these classes to `handle`, one at a time and in order; runs until
        cancelled.

        `durable` names the consumer: processes that share it share the work, and it goes on where
        it stopped. An event whose handler raises is logged and delivered again after a pause;
        deliveries may repeat.
        """
        subjects = [event.subject for event in events]
        await self._first_connection.wait()
        while True:
            obey_cancellation()
            try:
                await self._consume(durable, subjects, handle)
            except (NatsError, JetStreamError, OSError, TimeoutError) as error:
                # Wiped, restarted or out of reach: bind anew, which makes whatever is missing.
                log.warning("consumer_interrupted", consumer=durable, error=repr(error))
            await asyncio.sleep(RECONNECT_S)

    async def _consume(self, durable: str, subjects: list[str], handle: Handler) -> None:
        # A consumer that has to be made again after a wipe would otherwise see nothing of what the
        # outbox brings in the meantime; handlers are idempotent.
        async with self._bound(EVENTS, durable, subjects, at_once=1) as subscription:
            while True:
                for message in await self._fetch(EVENTS, durable, subscription):
                    await self._deliver(durable, message, handle)

    @asynccontextmanager
    async def _bound(
        self, stream: Stream, durable: str, subjects: list[str], at_once: int
    ) -> AsyncIterator[JetStreamContext.PullSubscription]:
        """A subscription to a durable consumer, both made where they are missing."""
        await self.ensure_stream(stream)
        config = ConsumerConfig(
            durable_name=durable,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            deliver_policy=DeliverPolicy.ALL,
            filter_subjects=subjects,
            max_ack_pending=at_once,
        )
        await self._js.add_consumer(stream.name, config)
        subscription = await self._js.pull_subscribe_bind(durable, stream=stream.name)
        try:
            yield subscription
        finally:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()

    async def _fetch(
        self, stream: Stream, durable: str, subscription: JetStreamContext.PullSubscription
    ) -> list[Msg]:
        """One message; none when none came for a while."""
        obey_cancellation()
        try:
            # Of a larger batch the client would keep the first ones back until the last has come.
            return await subscription.fetch(1, timeout=FETCH_S)
        except TimeoutError:
            # Nothing came, or the consumer is gone: the latter is an error here.
            await self._js.consumer_info(stream.name, durable)
            return []

    async def _deliver(self, durable: str, message: Msg, handle: Handler) -> None:
        try:
            event = decode(message.subject, message.data)
        except ValueError:
            log.error("event_unreadable", consumer=durable, subject=message.subject)
            await message.term()
            return
        if event is not None:
            try:
                await handle(event)
            except DomainError as error:
                # Something that it needs is away, most likely.
                log.warning(
                    "event_waits", consumer=durable, subject=message.subject, reason=error.message
                )
                await message.nak(delay=1)
                return
            except Exception:
                log.exception("event_handler_failed", consumer=durable, subject=message.subject)
                await message.nak(delay=1)
                return
        await message.ack()

    # --- work -------------------------------------------------------------------------------------

    async def work(
        self, stream: Stream, durable: str, subjects: list[str], do: Worker, at_once: int
    ) -> None:
        """Give the messages of a queue to `do`, up to `at_once` side by side; runs until cancelled.

        A message is acknowledged when `do` returns. When it raises, or takes longer than `WORK_S`, it
        comes again.
        """
        await self._first_connection.wait()
        while True:
            obey_cancellation()
            try:
                await self._work(stream, durable, subjects, do, at_once)
            except (NatsError, JetStreamError, OSError, TimeoutError) as error:
                log.warning("consumer_interrupted", consumer=durable, error=repr(error))
            await asyncio.sleep(RECONNECT_S)

    async def _work(
        self, stream: Stream, durable: str, subjects: list[str], do: Worker, at_once: int
    ) -> None:
        busy: set[asyncio.Task[None]] = set()
        try:
            async with self._bound(stream, durable, subjects, at_once) as subscription:
                while True:
                    if len(busy) >= at_once:
                        await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
                        busy = {task for task in busy if not task.done()}
                    for message in await self._fetch(stream, durable, subscription):
                        busy.add(asyncio.create_task(_do(durable, message, do), name=durable))
        finally:
            for task in busy:
                task.cancel()
            if busy:
                await asyncio.wait(busy)

    async def overhear(self, event: type[Event], tell: Callable[[], None]) -> None:
        """Call `tell` each time an event of this class is published, in every process that asks and at
        once. What is published while there is no connection is missed.
        """

        async def hear(_message: Msg) -> None:
            # Nothing is said to whoever published it: what comes there is JetStream's own receipt.
            tell()

        async def begin() -> None:
            await self._client.subscribe(event.subject, cb=hear)

        if self._first_connection.is_set():
            await begin()
        else:
            self._overhearing.append(begin)

    # --- questions --------------------------------------------------------------------------------

    async def request(
        self, subject: str, question: Mapping[str, Any], timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Ask whoever answers `subject`. Raises Unavailable when nobody does in time."""
        self._require_connection()
        payload = json.dumps(question).encode()
        try:
            answer = await self._client.request(
                subject, payload, timeout=timeout_s or self._timeout
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise Unavailable(
                "A part of the service does not answer. Try again in a moment."
            ) from error
        content: dict[str, Any] = json.loads(answer.data)
        if "error" in content:
            raise _retold(content["error"])
        return content

    async def respond(
        self, subject: str, answer: Responder, *, queue: str = "", lane: Lane | None = None
    ) -> None:
        """Answer questions on `subject` from now, or from when there is a connection, until it is
        closed.

        Of the processes that name the same `queue`, one gets each question. Questions are answered in
        the order in which they come; with a `lane`, those of different lanes side by side. `answer`
        may return None to leave the question to another process that also listens. A DomainError
        from it reaches the asker as it is.
        """
        answering = _Answering(subject, answer, lane or _one_lane)
        if self._first_connection.is_set():
            await self._subscribe(answering, queue)
        else:
            self._responders.append((answering, queue))

    async def _subscribe(self, answering: _Answering, queue: str) -> None:
        subscription = await self._client.subscribe(answering.subject, queue, cb=answering.take)
        self._subscriptions.append((subscription, answering))

    async def _stop_answering(self, within_s: float) -> None:
        """Take no more questions, and answer those that were taken."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription, _answering in subscriptions:
            with contextlib.suppress(NatsError, OSError):
                await subscription.unsubscribe()
        for _subscription, answering in subscriptions:
            await answering.lanes.finish(within_s)


class _Answering:
    """The questions on one subject."""

    def __init__(self, subject: str, answer: Responder, lane: Lane) -> None:
        self.subject = subject
        self.lanes = Lanes(self._work, ANSWERED_AT_ONCE, WAITING_IN_LANE)
        self._answer = answer
        self._lane = lane

    async def take(self, message: Msg) -> None:
        """A question has come; the next one is taken when this returns."""
        try:
            question = json.loads(message.data)
            lane = self._lane(question)
        except (ValueError, LookupError, TypeError, AttributeError):
            await self._reply(message, {"error": _told(Malformed("The question is unreadable."))})
            return
        if not await self.lanes.put(lane, (question, message)):
            busy = Unavailable("Too much is asked for at once. Try again in a moment.")
            await self._reply(message, {"error": _told(busy)})

    async def _work(self, asked: tuple[dict[str, Any], Msg]) -> None:
        question, message = asked
        content: Mapping[str, Any] | None
        try:
            content = await self._answer(question)
        except DomainError as error:
            content = {"error": _told(error)}
        except Exception:
            log.exception("request_failed", subject=self.subject)
            content = {"error": _told(Unavailable("The request could not be answered."))}
        if content is not None:
            await self._reply(message, content)

    async def _reply(self, message: Msg, content: Mapping[str, Any]) -> None:
        if not message.reply:
            return
        try:
            await message.respond(json.dumps(content).encode())
        except (NatsError, OSError) as error:
            # The asker has been told already that nobody answers.
            log.warning("answer_lost", subject=self.subject, error=repr(error))


async def _do(durable: str, message: Msg, do: Worker) -> None:
    """Work on one message of a queue, and acknowledge it or give it back."""
    try:
        try:
            async with asyncio.timeout(WORK_S):
                await do(message.data)
        except (DomainError, TimeoutError) as error:
            log.debug("work_waits", consumer=durable, reason=repr(error))
            await message.nak(delay=1)
        except Exception:
            log.exception("work_failed", consumer=durable)
            await message.nak(delay=1)
        else:
            await message.ack()
    except (NatsError, OSError) as error:
        # It comes again.
        log.debug("acknowledgement_lost", consumer=durable, error=repr(error))


def _one_lane(_question: Mapping[str, Any]) -> None:
    """All questions are in the same lane."""


_KINDS: dict[str, type[DomainError]] = {
    kind.__name__: kind for kind in DomainError.__subclasses__()
}


def _told(error: DomainError) -> dict[str, Any]:
    """A domain error as an answer."""
    names = (kind.__name__ for kind in type(error).__mro__)
    return {
        "kind": next((name for name in names if name in _KINDS), ""),
        "code": error.code,
        "message": error.message,
        "field": error.field,
        "retry_after": error.retry_after,
    }


def _retold(content: Mapping[str, Any]) -> DomainError:
    """The domain error that an answer tells of, of the class it was raised as."""
    kind = _KINDS.get(content.get("kind", ""), DomainError)
    retry_after = content.get("retry_after")
    more: dict[str, Any] = {"field": content.get("field"), "retry_after": retry_after}
    if kind in (RateLimited, Unavailable):
        more = {"retry_after": retry_after or 1}
    return kind(content["message"], code=content["code"], **more)


async def _connect(client: Client, settings: Settings) -> None:
    async def on_error(error: Exception) -> None:
        log.warning("nats_error", error=repr(error))

    async def on_disconnect() -> None:
        log.warning("nats_disconnected")

    async def on_reconnect() -> None:
        log.info("nats_reconnected")

    await client.connect(
        [url.strip() for url in settings.nats_url.split(",")],
        name="footlight",
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_S,  # type: ignore[arg-type]
        connect_timeout=2,
        ping_interval=5,
        max_outstanding_pings=2,
        error_cb=on_error,
        disconnected_cb=on_disconnect,
        reconnected_cb=on_reconnect,
    )


@asynccontextmanager
async def open_bus(settings: Settings) -> AsyncIterator[Bus]:
    """A bus for one process.

    It connects in the background, so that a process starts without NATS.
    """
    client = Client()
    bus = Bus(client, settings)
    connecting = asyncio.create_task(bus.connect(settings), name="nats-connect")
    try:
        yield bus
    finally:
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await connecting
        await bus.close(settings.request_timeout_s)
