"""Operations on channels and stream keys."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, cursors, limits
from api.channels import keys
from api.channels.queries import ChannelRow, find_channel
from api.channels.schemas import ChannelBody, ChannelView, KeyBody, KeyPage, KeyView, NewKeyView
from api.operations import Auth, Call, Operations, Page
from api.streams.queries import last_stream_at, running_stream
from core.access import Action, ChannelRef, authorize
from core.db.models import Channel
from core.events import ChannelUpdated
from core.outbox import emit

channels = Operations("Channels")
stream_keys = Operations("Stream keys")


@channels.get(
    "/channels/{login}",
    "A channel",
    answer=ChannelView,
    auth=Auth.ANYONE,
    errors={HTTPStatus.NOT_FOUND: ("channel_not_found",)},
)
async def get_channel(call: Call[None, None]) -> ChannelView:
    """What a channel's page shows, with its running stream."""
    async with call.api.database.session() as session:
        return await _view(session, await find_channel(session, call.path["login"]))


async def _view(session: AsyncSession, channel: ChannelRow) -> ChannelView:
    running = await running_stream(session, channel.id)
    return ChannelView.of(channel, running, await last_stream_at(session, channel.id))


@channels.patch(
    "/channels/{login}",
    "Change a channel",
    body=ChannelBody,
    answer=ChannelView,
    errors={
        HTTPStatus.NOT_FOUND: ("channel_not_found",),
        HTTPStatus.FORBIDDEN: ("forbidden",),
    },
)
async def patch_channel(call: Call[ChannelBody, None]) -> ChannelView:
    """Changes what is given, also while the stream runs. The owner may, and admins."""
    changes = call.body.model_dump(exclude_unset=True)
    for name in ("title", "tags", "mature"):
        # Null means empty where there is no other way to have none.
        if name in changes and changes[name] is None:
            changes[name] = {"title": "", "tags": [], "mature": False}[name]
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        authorize(call.actor, Action.EDIT_CHANNEL, ChannelRef(channel.id))
        if changes:
            now = datetime.now(UTC)
            await session.execute(
                update(Channel).where(Channel.id == channel.id).values(**changes, updated_at=now)
            )
            await emit(
                session,
                ChannelUpdated(
                    channel_id=channel.id,
                    login=channel.login,
                    title=changes.get("title", channel.title),
                    category=changes.get("category", channel.category),
                    at=now if {"title", "category"} & set(changes) else None,
                ),
            )
            if call.actor.id != channel.id:
                audit.record(
                    session,
                    "channel.edited",
                    actor_id=call.actor.id,
                    target=f"channel:{channel.id}",
                    address=call.address,
                    fields=sorted(changes),
                )
        return await _view(session, await find_channel(session, channel.login))


@stream_keys.get("/me/stream-keys", "Your stream keys", query=Page, answer=KeyPage)
async def list_keys(call: Call[None, Page]) -> KeyPage:
    """Keys that may be used, without their secrets."""
    after = None
    if call.query.cursor is not None:
        (after,) = cursors.decode(call.query.cursor, "keys", int)
    limit = call.query.limit
    async with call.api.database.session() as session:
        rows = await keys.list_keys(
            session,
            call.actor.id,
            after=after,  # type: ignore[arg-type]
            limit=limit + 1,
        )
    more = len(rows) > limit
    return KeyPage(
        items=[KeyView.of(row) for row in rows[:limit]],
        next_cursor=cursors.encode("keys", rows[limit - 1].id) if more else None,
    )


@stream_keys.post(
    "/me/stream-keys",
    "Make a stream key",
    body=KeyBody,
    answer=NewKeyView,
    status=201,
    errors={
        HTTPStatus.FORBIDDEN: ("streaming_not_allowed",),
        HTTPStatus.CONFLICT: ("too_many_keys",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def create_key(call: Call[KeyBody, None]) -> NewKeyView:
    """Answers the key itself, this once.

    Keep it like a password: whoever has it can stream on your channel.
    """
    api, actor = call.api, call.actor
    authorize(actor, Action.MANAGE_STREAM_KEYS, ChannelRef(actor.id))
    await api.limiter.charge("stream_key", [(limits.KEYS_ACCOUNT, str(actor.id))])
    async with api.database.session() as session:
        row, key = await keys.add_key(session, actor.id, call.body.name, api.pepper)
        audit.record(
            session,
            "stream_key.created",
            actor_id=actor.id,
            target=f"channel:{actor.id}",
            address=call.address,
            key_id=row.id,
        )
    return NewKeyView(**KeyView.of(row).model_dump(), key=key.text, server=api.settings.rtmp_url)


@stream_keys.delete(
    "/me/stream-keys/{id}",
    "Delete a stream key",
    errors={HTTPStatus.NOT_FOUND: ("stream_key_not_found",)},
)
async def delete_key(call: Call[None, None]) -> None:
    """A stream that uses it is dropped within seconds."""
    async with call.api.database.session() as session:
        await keys.revoke_key(session, call.actor.id, call.id())
        audit.record(
            session,
            "stream_key.revoked",
            actor_id=call.actor.id,
            target=f"channel:{call.actor.id}",
            address=call.address,
            key_id=call.id(),
        )
