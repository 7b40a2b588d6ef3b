"""Operations on streams."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from api import cursors
from api.channels.queries import find_channel
from api.operations import Auth, Call, Operations
from api.streams import queries
from api.streams.schemas import (
    MOST_SAMPLES,
    AttemptView,
    DirectoryItem,
    DirectoryPage,
    DirectoryQuery,
    HealthQuery,
    HealthSample,
    HealthSeries,
    MyStream,
    StreamView,
    WarningView,
)
from core.access import Action, ChannelRef, authorize
from core.errors import Conflict
from core.events import END_STREAM

streams = Operations("Streams")

ATTEMPTS = 10


@streams.get(
    "/streams", "Who is live", query=DirectoryQuery, answer=DirectoryPage, auth=Auth.ANYONE
)
async def list_streams(call: Call[None, DirectoryQuery]) -> DirectoryPage:
    """The live directory.

    A stream whose viewers change while you page may be seen twice or not at all.
    """
    query = call.query
    order = f"streams:{query.sort}"
    kind: type[int] | type[datetime] = int if query.sort == "viewers" else datetime
    after = None
    if query.cursor is not None:
        value, last_id = cursors.decode(query.cursor, order, kind, int)
        after = (value, int(last_id))  # type: ignore[arg-type]
    wanted = queries.Filter(query.category, query.tag, query.language)
    async with call.api.database.session() as session:
        rows = await queries.directory(session, wanted, query.sort, after, query.limit + 1)
    page = rows[: query.limit]
    cursor = None
    if len(rows) > query.limit:
        last = page[-1].stream
        key = last.viewers if query.sort == "viewers" else last.started_at
        cursor = cursors.encode(order, key, last.id)
    return DirectoryPage(items=[DirectoryItem.of_row(row) for row in page], next_cursor=cursor)


@streams.post(
    "/channels/{login}/stream/end",
    "End the running stream",
    errors={
        HTTPStatus.NOT_FOUND: ("channel_not_found",),
        HTTPStatus.FORBIDDEN: ("forbidden",),
        HTTPStatus.CONFLICT: ("stream_offline",),
    },
)
async def end_stream(call: Call[None, None]) -> None:
    """Ends it at once, without waiting for the encoder to come back.

    The channel's owner and admins may.
    """
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        authorize(call.actor, Action.END_STREAM, ChannelRef(channel.id))
        running = await queries.running_stream(session, channel.id)
    offline = Conflict("This channel is not live.", code="stream_offline")
    if running is None:
        raise offline
    answer = await call.api.bus.request(END_STREAM, {"channel_id": channel.id})
    if not answer.get("ended"):
        raise offline


@streams.get("/me/stream", "Your stream's state", answer=MyStream)
async def my_stream(call: Call[None, None]) -> MyStream:
    """Whether an encoder is connected, what is wrong with what it sends, and why the last ones were
    refused.
    """
    async with call.api.database.session() as session:
        running = await queries.running_stream(session, call.actor.id)
        attempts = await queries.latest_attempts(session, call.actor.id, ATTEMPTS)
        sample = await queries.latest_health(session, running.id) if running else None
    return MyStream(
        state=running.status.value if running else "offline",  # type: ignore[arg-type]
        stream=StreamView.of(call.actor.login, running) if running else None,
        health=HealthSample.of(sample) if sample else None,
        warnings=[
            WarningView(code=str(w.get("code", "")), message=str(w.get("message", "")))
            for w in (running.warnings if running else [])
        ],
        attempts=[AttemptView.of(row) for row in attempts],
    )


@streams.get(
    "/me/stream/health", "Your stream's health over time", query=HealthQuery, answer=HealthSeries
)
async def my_stream_health(call: Call[None, HealthQuery]) -> HealthSeries:
    """The running stream's samples; empty when there is none."""
    since = call.query.since
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    async with call.api.database.session() as session:
        running = await queries.running_stream(session, call.actor.id)
        if running is None:
            return HealthSeries(items=[])
        rows = await queries.health_series(session, running.id, since, MOST_SAMPLES)
    return HealthSeries(items=[HealthSample.of(row) for row in rows])
