"""How a room is run: modes, links, AutoMod, terms, the shield."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from chat import automod, facts
from chat.decisions import Answer, Case, Desk, Entry, log, operation
from chat.room import DELAYS_S, FOLLOWERS_MAX_MIN, SLOW_MAX_S, SLOW_MIN_S
from chat.terms import Term
from core.db.models import ChatSettings, ChatTerm, TermKind
from core.errors import Conflict, Invalid, NotFound

TERMS = 1000
# The mod log's names of modes, which Twitch's are.
_ACTIONS = {
    "slow_s": "slow",
    "followers_min": "followers",
    "subscribers_only": "subscribers",
    "emote_only": "emoteonly",
    "unique_chat": "uniquechat",
    "shield": "shield",
    "delay_s": "delay",
}
_FLAGS = ("subscribers_only", "emote_only", "unique_chat", "shield")
_SHIELD_MODES = ("slow_s", "followers_min", "subscribers_only", "emote_only", "unique_chat")


@operation("settings.set")
async def settings_set(desk: Desk, case: Case) -> Answer:
    """Change what `changes` names. When it answers, every process goes by it."""
    changes = case.fields.get("changes")
    if not isinstance(changes, dict):
        raise Invalid("`changes` is an object.", field="changes")
    return await change(desk, case, changes)


@operation("shield.set")
async def shield_set(desk: Desk, case: Case) -> Answer:
    """Raise or lower the shield."""
    return await change(desk, case, {"shield": case.flag("active")})


async def change(desk: Desk, case: Case, changes: dict[str, Any]) -> Answer:
    """Change settings of a room; what is the same stays unsaid."""
    values = {name: checked(name, value) for name, value in changes.items()}
    entries: list[Entry] = []
    async with desk.database.session() as session:
        before = await facts.room_facts(session, case.channel.id)
        await session.execute(
            insert(ChatSettings)
            .values(channel_id=case.channel.id, **values)
            .on_conflict_do_update(
                index_elements=["channel_id"], set_={**values, "updated_at": func.now()}
            )
        )
        session.expire_all()
        after = await facts.room_facts(session, case.channel.id)
        for name, value in values.items():
            if name in _ACTIONS and getattr(before.base, name) == value:
                continue
            off = value is None if name == "followers_min" else not value
            action = f"{_ACTIONS[name]}{'off' if off else ''}" if name in _ACTIONS else "settings"
            entries.append(await log(session, case, action, None, "", **{name: value}))
    await desk.store.revise(case.channel.id)
    await desk.store.control({"kind": "room"}, case.channel.id)
    old, new = before.modes.public(), after.modes.public()
    changed = {name: value for name, value in new.items() if value != old[name]}
    if changed:
        await desk.store.publish(
            case.channel.id,
            {"type": "settings", "channel": case.channel.login, "settings": changed},
        )
    await desk.told(case, *entries)
    return {"changed": sorted(changed)}


def checked(name: str, value: Any) -> Any:
    """A setting's value. Raises Invalid."""
    if name in _FLAGS:
        good = isinstance(value, bool)
    elif name == "slow_s":
        good = _whole(value) and (value == 0 or SLOW_MIN_S <= value <= SLOW_MAX_S)
    elif name == "followers_min":
        good = value is None or (_whole(value) and 0 <= value <= FOLLOWERS_MAX_MIN)
    elif name == "delay_s":
        good = _whole(value) and value in DELAYS_S
    elif name in _CHOICES:
        good = value in _CHOICES[name]
    elif name == "automod":
        value = {} if value is None else {k: v for k, v in dict(value).items() if v is not None}
        automod.levels(value)
        good = True
    elif name == "shield_settings":
        return _shield(value)
    elif name == "raid_guard":
        good = isinstance(value, dict)
    else:
        raise Invalid(f"There is no setting {name!r}.", field=name)
    if not good:
        raise Invalid(f"`{name}` cannot be {value!r}.", field=name)
    return value


_CHOICES = {
    "links_from": ("everyone", "followers", "vips", "moderators"),
    "links_action": ("hold", "refuse"),
    "accept_raids": ("all", "followed", "none"),
}


def _whole(value: object) -> bool:
    return type(value) is int


def _shield(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("`shield_settings` is an object.", field="shield_settings")
    kept = {name: given for name, given in value.items() if given is not None}
    for name, given in kept.items():
        if name == "automod":
            automod.levels({"overall": given})
        elif name in _SHIELD_MODES:
            checked(name, given)
        else:
            raise Invalid(f"The shield has no {name!r}.", field="shield_settings")
    return kept


# --- terms ----------------------------------------------------------------------------------------


@operation("term.add")
async def term_add(desk: Desk, case: Case) -> Answer:
    """A blocked or permitted term."""
    kind = case.text("kind", 20)
    if kind not in tuple(TermKind):
        raise Invalid("`kind` is blocked or permitted.", field="kind")
    term = Term.parse(case.text("text", 500, 1))
    ends = case.fields.get("expires_at")
    try:
        async with desk.database.session() as session:
            count = await session.scalar(
                select(func.count()).where(ChatTerm.channel_id == case.channel.id)
            )
            if (count or 0) >= TERMS:
                raise Conflict(f"A channel has at most {TERMS} terms.", code="too_many_terms")
            row = ChatTerm(
                channel_id=case.channel.id,
                text=term.text,
                kind=kind,
                public=case.flag("public"),
                folded=term.folded,
                created_by=case.actor_id,
                expires_at=None if ends is None else datetime.fromisoformat(str(ends)),
            )
            session.add(row)
            await session.flush()
            entry = await log(session, case, f"add_{kind}_term", None, "", text=term.text)
    except IntegrityError as error:
        raise Conflict("The term is there already.", code="term_exists") from error
    await _terms_changed(desk, case)
    await desk.told(case, entry)
    return {"term_id": row.id}


@operation("term.remove")
async def term_remove(desk: Desk, case: Case) -> Answer:
    """Take a term away."""
    async with desk.database.session() as session:
        row = await session.get(ChatTerm, case.integer("term_id"))
        if row is None or row.channel_id != case.channel.id:
            raise NotFound("There is no such term.", code="term_not_found")
        await session.delete(row)
        entry = await log(session, case, f"remove_{row.kind}_term", None, "", text=row.text)
    await _terms_changed(desk, case)
    await desk.told(case, entry)
    return {}


async def _terms_changed(desk: Desk, case: Case) -> None:
    await desk.store.revise(case.channel.id)
    await desk.store.control({"kind": "room"}, case.channel.id)
