"""Who may see what the moderators of a channel see, and how chat is asked to decide.

Chat decides about every change, and about who may make it, in one place for REST, its JSON and its
IRC dialect. What only reads is read here, from PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api import limits
from api.channels.queries import ChannelRow, find_channel
from api.operations import AnyCall, Operations
from api.people import find_user
from core.access import Action, ChannelRef, authorize
from core.app_tokens import Scope
from core.db.models import Base, ChatRole, ChatRoleKind, User
from core.errors import Conflict
from core.events import CHAT_DECIDE

RowT = TypeVar("RowT", bound=Base)
moderation = Operations("Moderation", scope=Scope.CHANNEL_MODERATE)

# A list may be seen by those who moderate.
SEEN_BY_MODERATORS: Mapping[HTTPStatus, tuple[str, ...]] = {HTTPStatus.FORBIDDEN: ("forbidden",)}


def decided(**codes: tuple[str, ...]) -> Mapping[HTTPStatus, tuple[str, ...]]:
    """The errors of an operation that chat decides: the usual ones, and `codes` by status name."""
    errors: dict[HTTPStatus, tuple[str, ...]] = {
        HTTPStatus.FORBIDDEN: ("no_permission",),
        HTTPStatus.NOT_FOUND: ("channel_not_found", "invalid_user"),
        HTTPStatus.CONFLICT: ("undone",),
        HTTPStatus.UNPROCESSABLE_ENTITY: ("invalid",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    }
    for name, more in codes.items():
        status = HTTPStatus[name.upper()]
        errors[status] = (*errors.get(status, ()), *more)
    return errors


async def moderated_channel(call: AnyCall, session: AsyncSession) -> ChannelRow:
    """The channel in the path. Raises NotFound, and Forbidden unless the actor moderates it."""
    channel = await find_channel(session, call.path["login"])
    role = await session.scalar(
        select(ChatRole.role).where(
            ChatRole.channel_id == channel.id, ChatRole.user_id == call.actor.id
        )
    )
    ref = ChannelRef(channel.id, None if role is None else ChatRoleKind(role))
    authorize(call.actor, Action.MODERATE_CHAT, ref)
    return channel


async def asked_channel(call: AnyCall) -> ChannelRow:
    """The channel in the path of a question to chat, which decides who may."""
    async with call.api.database.session() as session:
        return await find_channel(session, call.path["login"])


async def channel_and_user(
    call: AnyCall, login: str, field: str | None = None
) -> tuple[ChannelRow, User]:
    """The channel in the path, and the account that is named. Raises NotFound."""
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        return channel, await find_user(session, login, field)


async def row_of(session: AsyncSession, kind: type[RowT], key: object) -> RowT:
    """What chat has just written. Raises Conflict (`undone`) when somebody was quicker to undo it."""
    row = await session.get(kind, key)
    if row is None:
        raise Conflict("Somebody else has undone this already.", code="undone")
    return row


async def decide(call: AnyCall, channel_id: int, op: str, **fields: Any) -> dict[str, Any]:
    """Have chat decide and carry out `op`: what it answers, once that holds on every process.

    Raises RateLimited, Unavailable, and whatever chat says against it: Forbidden, NotFound,
    Conflict, Invalid.
    """
    actor = call.actor
    await call.api.limiter.charge("moderation", [(limits.MODERATION_ACCOUNT, str(actor.id))])
    question = {
        "op": op,
        "channel_id": channel_id,
        "actor": {"id": actor.id, "login": actor.login, "role": str(actor.role)},
        "address": call.address,
        **fields,
    }
    return await call.api.bus.request(CHAT_DECIDE, question)
