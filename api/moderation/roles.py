"""A channel's moderators and VIPs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from api import pages
from api.moderation.access import (
    SEEN_BY_MODERATORS,
    channel_and_user,
    decide,
    decided,
    moderated_channel,
    moderation,
)
from api.operations import AnyCall, Call, Model, Page
from api.people import Person, people
from core.db.models import ChatRole, ChatRoleKind


class RoleView(Model):
    """A moderator or VIP."""

    user: Person
    granted_by: Person | None
    created_at: datetime


class RolePage(Model):
    """Moderators or VIPs, the newest first."""

    items: list[RoleView]
    next_cursor: str | None


async def _list(call: Call[None, Page], role: ChatRoleKind) -> RolePage:
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        query = select(ChatRole).where(ChatRole.channel_id == channel.id, ChatRole.role == role)
        rows, cursor = await pages.fetch(
            session, query, call.query, f"roles:{role}", ChatRole.created_at, ChatRole.user_id
        )
        roles = [row.ChatRole for row in rows]
        named = await people(session, (i for r in roles for i in (r.user_id, r.granted_by)))
    items = [
        RoleView(
            user=named[row.user_id],
            granted_by=named.get(row.granted_by),
            created_at=row.created_at,
        )
        for row in roles
    ]
    return RolePage(items=items, next_cursor=cursor)


async def _change(call: AnyCall, op: str, role: ChatRoleKind) -> None:
    channel, user = await channel_and_user(call, call.path["user"])
    await decide(call, channel.id, op, user_id=user.id, role=str(role))


_SET = decided(
    not_found=("user_not_found",),
    conflict=("bad_mod_mod", "bad_vip_grantee_already_vip"),
    forbidden=("bad_mod_banned", "bad_vip_grantee_banned"),
)
_UNSET = decided(
    not_found=("user_not_found",),
    conflict=("bad_unmod_mod", "bad_unvip_grantee_not_vip"),
)


@moderation.get(
    "/channels/{login}/moderation/moderators",
    "A channel's moderators",
    query=Page,
    answer=RolePage,
    errors=SEEN_BY_MODERATORS,
)
async def list_moderators(call: Call[None, Page]) -> RolePage:
    """The newest first."""
    return await _list(call, ChatRoleKind.MODERATOR)


@moderation.put(
    "/channels/{login}/moderation/moderators/{user}", "Make somebody a moderator", errors=_SET
)
async def put_moderator(call: Call[None, None]) -> None:
    """Only the broadcaster may, and admins. A VIP is one no more."""
    await _change(call, "role.set", ChatRoleKind.MODERATOR)


@moderation.delete(
    "/channels/{login}/moderation/moderators/{user}",
    "Take a moderator's role away",
    errors=_UNSET,
)
async def delete_moderator(call: Call[None, None]) -> None:
    """Only the broadcaster may, and admins."""
    await _change(call, "role.unset", ChatRoleKind.MODERATOR)


@moderation.get(
    "/channels/{login}/moderation/vips",
    "A channel's VIPs",
    query=Page,
    answer=RolePage,
    errors=SEEN_BY_MODERATORS,
)
async def list_vips(call: Call[None, Page]) -> RolePage:
    """The newest first."""
    return await _list(call, ChatRoleKind.VIP)


@moderation.put("/channels/{login}/moderation/vips/{user}", "Make somebody a VIP", errors=_SET)
async def put_vip(call: Call[None, None]) -> None:
    """Slow mode, followers-only and subscribers-only do not concern them."""
    await _change(call, "role.set", ChatRoleKind.VIP)


@moderation.delete(
    "/channels/{login}/moderation/vips/{user}", "Take a VIP's role away", errors=_UNSET
)
async def delete_vip(call: Call[None, None]) -> None:
    """Only the broadcaster may, and admins."""
    await _change(call, "role.unset", ChatRoleKind.VIP)
