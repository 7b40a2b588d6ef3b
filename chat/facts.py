"""What PostgreSQL says about rooms, people and where they stand in them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from chat.room import Modes, Rank, Standing, User, default_color
from core.db.models import (
    Channel,
    ChatBan,
    ChatMessage,
    ChatRole,
    ChatRoleKind,
    ChatSettings,
    ChatSuspicious,
    ChatTerm,
    ChatWarning,
    Emote,
    Follow,
    Role,
    Suspension,
    SuspensionScope,
    SuspiciousStatus,
    TermKind,
)
from core.db.models import User as UserRow
from core.errors import NotFound


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A channel as chat needs it."""

    id: int
    login: str
    name: str
    suspended: bool


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """How a room is run, as of one moment."""

    modes: Modes = field(default_factory=Modes)
    # As set, whatever the shield says at the moment.
    base: Modes = field(default_factory=Modes)
    links_from: str = "everyone"
    links_action: str = "hold"
    automod: dict[str, Any] = field(default_factory=dict)
    shield_settings: dict[str, Any] = field(default_factory=dict)
    raid_guard: dict[str, Any] = field(default_factory=dict)
    accept_raids: str = "all"
    pinned: dict[str, Any] = field(default_factory=dict)
    blocked: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    emotes: dict[str, int] = field(default_factory=dict)


def stamp(at: datetime | None) -> str | None:
    """A time as clients get it."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def now_seconds() -> float:
    """Seconds since the epoch."""
    return time.time()


def standing_suspension(user_id: Any, *scopes: SuspensionScope) -> ColumnElement[bool]:
    """Whether a user is suspended at this moment."""
    return exists().where(
        Suspension.user_id == user_id,
        Suspension.scope.in_(scopes),
        Suspension.lifted_at.is_(None),
        or_(Suspension.until.is_(None), Suspension.until > func.now()),
    )


async def channel_by_login(session: AsyncSession, login: str) -> ChannelFacts:
    """The channel of a login. Raises NotFound."""
    return await _channel(session, UserRow.login == login)


async def channel_by_id(session: AsyncSession, channel_id: int) -> ChannelFacts:
    """The channel of an id. Raises NotFound."""
    return await _channel(session, UserRow.id == channel_id)


async def _channel(session: AsyncSession, which: ColumnElement[bool]) -> ChannelFacts:
    row = (
        await session.execute(
            select(
                UserRow.id,
                UserRow.login,
                UserRow.display_name,
                standing_suspension(UserRow.id, SuspensionScope.ACCOUNT, SuspensionScope.CHANNEL),
            )
            .join(Channel, Channel.id == UserRow.id)
            .where(which, UserRow.deleted_at.is_(None))
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such channel.", code="channel_not_found")
    return ChannelFacts(*row)


def user_of(row: UserRow) -> User:
    """An account as chat shows it."""
    staff = row.role in (Role.MODERATOR, Role.ADMIN)
    return User(row.id, row.login, row.display_name, row.chat_color or default_color(row.id), staff)


async def user_by_id(session: AsyncSession, user_id: int) -> User:
    """Somebody by id. Raises NotFound."""
    row = await session.get(UserRow, user_id)
    if row is None or row.deleted_at is not None:
        raise NotFound("There is no such user.", code="invalid_user")
    return user_of(row)


async def user_by_login(session: AsyncSession, login: str) -> User:
    """Somebody by login. Raises NotFound (`invalid_user`)."""
    row = await session.scalar(
        select(UserRow).where(UserRow.login == login, UserRow.deleted_at.is_(None))
    )
    if row is None:
        raise NotFound(f"There is no user {login}.", code="invalid_user", field="user")
    return user_of(row)


async def room_facts(session: AsyncSession, channel_id: int) -> RoomFacts:
    """How a room is run now."""
    row = await session.get(ChatSettings, channel_id)
    terms = (
        await session.execute(
            select(ChatTerm.kind, ChatTerm.text)
            .where(
                ChatTerm.channel_id == channel_id,
                or_(ChatTerm.expires_at.is_(None), ChatTerm.expires_at > func.now()),
            )
            .order_by(ChatTerm.id)
        )
    ).all()
    blocked = tuple(text for kind, text in terms if kind == TermKind.BLOCKED)
    permitted = tuple(text for kind, text in terms if kind == TermKind.PERMITTED)
    emotes = await emotes_of(session, channel_id)
    if row is None:
        return RoomFacts(blocked=blocked, permitted=permitted, emotes=emotes)
    base = Modes(
        row.slow_s,
        row.followers_min,
        row.subscribers_only,
        row.emote_only,
        row.unique_chat,
        row.delay_s,
        row.shield,
    )
    return RoomFacts(
        modes=shielded(base, row.shield_settings),
        base=base,
        links_from=row.links_from,
        links_action=row.links_action,
        automod=_shielded_automod(row),
        shield_settings=row.shield_settings,
        raid_guard=row.raid_guard,
        accept_raids=row.accept_raids,
        pinned=row.pinned,
        blocked=blocked,
        permitted=permitted,
        emotes=emotes,
    )


# What a shield switches on that was not told otherwise.
SHIELD_DEFAULT: dict[str, Any] = {"followers_min": 10, "slow_s": 10}


def shielded(base: Modes, shield: dict[str, Any]) -> Modes:
    """The modes that hold: while the shield is up the stricter of both."""
    if not base.shield:
        return base
    wanted = shield or SHIELD_DEFAULT
    minutes = [m for m in (base.followers_min, wanted.get("followers_min")) if m is not None]
    return Modes(
        slow_s=max(base.slow_s, int(wanted.get("slow_s", 0))),
        followers_min=max(minutes) if minutes else None,
        subscribers_only=base.subscribers_only or bool(wanted.get("subscribers_only")),
        emote_only=base.emote_only or bool(wanted.get("emote_only")),
        unique_chat=base.unique_chat or bool(wanted.get("unique_chat")),
        delay_s=base.delay_s,
        shield=True,
    )


def _shielded_automod(row: ChatSettings) -> dict[str, Any]:
    if row.shield and "automod" in row.shield_settings:
        return {"overall": int(row.shield_settings["automod"])}
    return row.automod


async def emotes_of(session: AsyncSession, channel_id: int) -> dict[str, int]:
    """Codes of the emotes that may be used in a room, with their ids; the channel's own win."""
    rows = await session.execute(
        select(Emote.code, Emote.id)
        .where(
            Emote.deleted_at.is_(None),
            or_(Emote.channel_id.is_(None), Emote.channel_id == channel_id),
        )
        .order_by(Emote.channel_id.nulls_first())
    )
    return {code: emote_id for code, emote_id in rows}


async def standing(
    session: AsyncSession, channel_id: int, user: User | None
) -> tuple[Standing, bool]:
    """Where somebody stands in a room, and whether they have written there before."""
    if user is None:
        return Standing(), True
    user_id = user.id
    spoke = exists().where(ChatMessage.channel_id == channel_id, ChatMessage.user_id == user_id)
    here = {"channel_id": channel_id, "user_id": user_id}
    row = (
        await session.execute(
            select(
                _one(ChatRole.role, ChatRole, here),
                _one(Follow.created_at, Follow, here),
                _one(ChatSuspicious.status, ChatSuspicious, here),
                standing_suspension(user_id, SuspensionScope.ACCOUNT),
                select(ChatWarning.reason)
                .where(
                    ChatWarning.channel_id == channel_id,
                    ChatWarning.user_id == user_id,
                    ChatWarning.acknowledged_at.is_(None),
                )
                .order_by(ChatWarning.id.desc())
                .limit(1)
                .scalar_subquery(),
                spoke,
                exists().where(_live_ban(channel_id, user_id)),
                select(ChatBan.expires_at).where(_live_ban(channel_id, user_id)).scalar_subquery(),
            )
        )
    ).one()
    role, follows, suspicious, suspended, warning, spoke_before, barred, until = row
    return (
        Standing(
            rank=rank_of(channel_id, user_id, role),
            banned=barred and until is None,
            timed_out_until=until.timestamp() if until is not None else None,
            warning=warning,
            follows_since=follows.timestamp() if follows is not None else None,
            suspended=suspended,
            restricted=suspicious == SuspiciousStatus.RESTRICTED,
            monitored=suspicious == SuspiciousStatus.MONITORED,
        ),
        spoke_before,
    )


def _one(column: Any, table: Any, here: dict[str, int]) -> Any:
    return (
        select(column)
        .where(table.channel_id == here["channel_id"], table.user_id == here["user_id"])
        .scalar_subquery()
    )


def _live_ban(channel_id: int, user_id: int) -> ColumnElement[bool]:
    return and_(
        ChatBan.channel_id == channel_id,
        ChatBan.user_id == user_id,
        or_(ChatBan.expires_at.is_(None), ChatBan.expires_at > func.now()),
    )


async def rank(session: AsyncSession, channel_id: int, user_id: int) -> Rank:
    """What somebody is in a room."""
    role = await session.scalar(
        select(ChatRole.role).where(ChatRole.channel_id == channel_id, ChatRole.user_id == user_id)
    )
    return rank_of(channel_id, user_id, role)


def rank_of(channel_id: int, user_id: int, role: str | None) -> Rank:
    """What somebody is in a room, by their row in chat_roles."""
    if channel_id == user_id:
        return Rank.BROADCASTER
    ranks: dict[str | None, Rank] = {
        ChatRoleKind.MODERATOR: Rank.MODERATOR,
        ChatRoleKind.VIP: Rank.VIP,
    }
    return ranks.get(role, Rank.VIEWER)


async def barred(session: AsyncSession, channel_id: int) -> dict[int, int]:
    """Bans and timeouts that stand: user → end in ms, 0 for a ban."""
    rows = await session.execute(
        select(ChatBan.user_id, ChatBan.expires_at).where(
            ChatBan.channel_id == channel_id,
            or_(ChatBan.expires_at.is_(None), ChatBan.expires_at > func.now()),
        )
    )
    return {
        user_id: 0 if until is None else int(until.timestamp() * 1000) for user_id, until in rows
    }


async def warned(session: AsyncSession, channel_id: int) -> Sequence[int]:
    """Users with a warning that they have not acknowledged."""
    return (
        await session.scalars(
            select(ChatWarning.user_id)
            .where(ChatWarning.channel_id == channel_id, ChatWarning.acknowledged_at.is_(None))
            .distinct()
        )
    ).all()


async def last_offset(session: AsyncSession, channel_id: int) -> int:
    """The offset of the last message that PostgreSQL holds."""
    found = await session.scalar(
        select(ChatMessage.offset)
        .where(ChatMessage.channel_id == channel_id)
        .order_by(ChatMessage.offset.desc())
        .limit(1)
    )
    return found or 0
