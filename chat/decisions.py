"""Moderation: one place that decides, for REST, typed commands and the service's own clock.

A question is `{op, channel_id, actor: {id, login, role} | null, …}`. Every decision goes the same way:
PostgreSQL first, with its lines of the mod log and the audit log in the same transaction; then Redis,
from where it holds for every process; then the room is told. So the answer means that it holds.

The areas declare their operations with `operation`: `chat.barring`, `chat.modes`, `chat.messages`,
`chat.people_of_a_room`, `chat.polls`, `chat.raids`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from chat import facts
from chat.facts import ChannelFacts, stamp
from chat.history import KEEP, History, deleted_after
from chat.metrics import ChatMetrics
from chat.reaching import patience
from chat.registry import Rooms
from chat.reload import Reload
from chat.room import Rank, User, default_color, may_moderate, may_own
from chat.store import Audience, Store
from core.db.engine import Database
from core.db.models import AuditEntry, ModLogEntry, Role
from core.db.models import User as UserRow
from core.errors import Invalid, NotFound, Unavailable
from core.instance_settings import CurrentSettings
from core.logs import logger
from core.settings import Settings

log_ = logger(__name__)

Answer = Mapping[str, Any]
# A decision is made in less than this, or by nobody any more.
ABANDONED_S = 20.0


@dataclass(frozen=True)
class Desk:
    """What decisions are made with."""

    database: Database
    store: Store
    reload: Reload
    rooms: Rooms
    history: History
    settings: Settings
    current: CurrentSettings
    metrics: ChatMetrics
    # Channels for which Redis may be behind PostgreSQL.
    unsure: set[int] = field(default_factory=set)

    async def settle(self) -> None:
        """Have Redis catch up where it could not be told of a decision. Raises Unavailable."""
        for channel_id in sorted(self.unsure):
            await self._settle(channel_id)
            self.unsure.discard(channel_id)
        for trace, channel_id in await self.store.abandoned(ABANDONED_S):
            log_.warning("decision_abandoned", channel_id=channel_id)
            await self._settle(channel_id)
            await self.store.settled(trace)

    async def _settle(self, channel_id: int) -> None:
        await self.store.doubt(channel_id)
        position = await self.reload.ensure(channel_id)
        known = await self.store.gone(channel_id)
        async with self.database.session() as session:
            channel = await facts.channel_by_id(session, channel_id)
            gone = await deleted_after(session, channel_id, position.flushed - KEEP)
        # Deleted, and nobody was told.
        untold = [message_id for message_id in gone if message_id not in known]
        await self.store.forget(channel_id, untold)
        for message_id in untold:
            event = {"type": "deleted", "channel": channel.login, "id": message_id}
            await self.store.publish(channel_id, event)
        await self.store.control({"kind": "room"}, channel_id)

    async def decide(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Decide and carry out. Raises DomainErrors."""
        name = question.get("op")
        found = OPERATIONS.get(name) if isinstance(name, str) else None
        if found is None:
            raise Invalid("There is no such operation.", code="unknown_op", field="op")
        case = await self._case(question)
        found.check(case)
        guard = self.store.deciding(case.channel.id) if found.in_redis else nullcontext()
        try:
            # Redis may answer none of the steps: who asked is told so once a request would be given up.
            with patience(self.settings.request_timeout_s):
                async with guard:
                    answer = await found.run(self, case)
        except Unavailable:
            # PostgreSQL may hold it, and Redis not.
            self.unsure.add(case.channel.id)
            raise
        self.metrics.decisions.labels(found.name).inc()
        return dict(answer or {})

    async def _case(self, question: Mapping[str, Any]) -> Case:
        actor = question.get("actor")
        async with self.database.session() as session:
            channel = await facts.channel_by_id(session, int(question["channel_id"]))
            if actor is None:
                return Case(channel, None, Rank.BROADCASTER, False, fields=question)
            row = await session.get(UserRow, int(actor["id"]))
            if row is None or row.deleted_at is not None:
                raise NotFound("There is no such user.", code="invalid_user")
            rank = await facts.rank(session, channel.id, row.id)
        address = str(question.get("address", ""))
        admin = row.role == Role.ADMIN
        return Case(channel, facts.user_of(row), rank, admin, address, question)

    async def told(self, case: Case, *entries: Entry) -> None:
        """Show lines of the mod log to the moderators who are there."""
        for entry in entries:
            await self.store.publish(
                case.channel.id,
                {"type": "mod_log", "channel": case.channel.login, "entry": entry.view()},
                Audience.MODERATORS,
            )

    async def restand(self, case: Case, user_id: int) -> None:
        """Have every process look again where somebody stands, and tell them."""
        await self.store.control({"kind": "standing", "user": user_id}, case.channel.id)


@dataclass(frozen=True)
class Case:
    """One question: about which channel, by whom, with what."""

    channel: ChannelFacts
    # None: the service itself.
    actor: User | None
    rank: Rank
    admin: bool
    address: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def actor_id(self) -> int | None:
        """The actor's id; None: the service itself."""
        return None if self.actor is None else self.actor.id

    @property
    def staff(self) -> bool:
        """Whether the actor is one of the site's moderators or admins."""
        return self.actor is not None and self.actor.staff

    def integer(self, name: str) -> int:
        """A field that is a number. Raises Invalid."""
        value = self.fields.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
            return int(value)
        if type(value) is not int:
            raise Invalid(f"`{name}` is a number.", field=name)
        return value

    def text(self, name: str, most: int, least: int = 0) -> str:
        """A field that is a text. Raises Invalid."""
        value = self.fields.get(name)
        value = "" if value is None else value
        if not isinstance(value, str) or not least <= len(value.strip()) <= most:
            raise Invalid(f"`{name}` has {least} to {most} characters.", field=name)
        return value.strip()

    def flag(self, name: str) -> bool:
        """A field that is true or false."""
        return bool(self.fields.get(name))


@dataclass(frozen=True)
class Entry:
    """A line of the mod log as moderators see it."""

    row: ModLogEntry
    moderator: User | None
    target: User | None

    def view(self) -> dict[str, Any]:
        """As REST gives it too."""
        return {
            "id": str(self.row.id),
            "at": stamp(self.row.at),
            "moderator": person(self.moderator),
            "action": self.row.action,
            "target": person(self.target),
            "reason": self.row.reason,
            "data": self.row.data,
        }


def person(user: User | None) -> dict[str, str] | None:
    """Somebody, briefly."""
    return None if user is None else {"id": str(user.id), "login": user.login, "name": user.name}


async def log(
    session: AsyncSession,
    case: Case,
    action: str,
    target: User | None = None,
    reason: str = "",
    **data: Any,
) -> Entry:
    """Write a line into the mod log and the audit log, in the caller's transaction."""
    row = ModLogEntry(
        channel_id=case.channel.id,
        at=datetime.now(UTC),
        moderator_id=case.actor_id,
        action=action,
        target_id=None if target is None else target.id,
        reason=reason,
        data=data,
    )
    session.add(row)
    session.add(
        AuditEntry(
            actor_id=case.actor_id,
            action=f"chat.{action}",
            target=f"channel:{case.channel.id}" if target is None else f"user:{target.id}",
            address=case.address,
            data={"channel_id": case.channel.id, "reason": reason, **data},
        )
    )
    await session.flush()
    return Entry(row, case.actor, target)


async def target_of(session: AsyncSession, case: Case) -> tuple[User, Rank]:
    """Whom it is about (`user_id`), and what they are in the room. Raises NotFound."""
    user = await facts.user_by_id(session, case.integer("user_id"))
    return user, await facts.rank(session, case.channel.id, user.id)


Run = Callable[[Desk, Case], Awaitable[Answer | None]]
Check = Callable[[Case], None]


@dataclass(frozen=True)
class Operation:
    """One `op`: who may ask for it, and what carries it out."""

    name: str
    check: Check
    run: Run
    # Whether what is decided has to hold in Redis as well.
    in_redis: bool = True


OPERATIONS: dict[str, Operation] = {}


def moderators(case: Case) -> None:
    """The channel's moderators, and the site's."""
    may_moderate(case.rank, case.staff)


def owner(case: Case) -> None:
    """The broadcaster, and admins."""
    may_own(case.rank, case.admin)


def anybody(case: Case) -> None:
    """Everybody who is logged in; the operation itself looks closer."""


def operation(
    name: str, check: Check = moderators, *, in_redis: bool = True
) -> Callable[[Run], Run]:
    """Declare an operation."""

    def declare(run: Run) -> Run:
        OPERATIONS[name] = Operation(name, check, run, in_redis)
        return run

    return declare


async def names(session: AsyncSession, ids: set[int]) -> dict[int, User]:
    """People by id, deleted ones too."""
    rows = await session.scalars(select(UserRow).where(UserRow.id.in_(ids)))
    return {
        row.id: User(row.id, row.login, row.display_name, row.chat_color or default_color(row.id))
        for row in rows
    }
