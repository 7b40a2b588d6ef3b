"""The instance's settings: what holds, changed, with what they were before, and taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field, create_model
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, limits, names, pages
from api.operations import AnyCall, Call, Input, Model, Operations, Page
from api.people import People, Person, people
from core.access import SiteAction, authorize_site
from core.db.models import SettingsVersion
from core.errors import Conflict, Invalid, NotFound
from core.events import SettingsChanged
from core.instance_settings import Chosen, InstanceSettings, effective, newest
from core.outbox import emit

settings = Operations("Administration")

_FORBIDDEN = {HTTPStatus.FORBIDDEN: ("forbidden",)}
# Held while a version is added, so that versions have no gaps and nothing is overwritten unseen. Any
# number of our own.
_LOCK = 0x0F00_5E77
# A banner's end may lie between these years: times beyond them are slips of the pen.
YEARS = range(2000, 2200)


class SettingsView(Model):
    """What holds, and why."""

    version: str = Field(description="Give it back with changes; `0`: nothing was ever changed.")
    changed_at: datetime | None
    changed_by: Person | None
    values: InstanceSettings = Field(description="What holds now.")
    defaults: InstanceSettings = Field(description="What holds where nothing is chosen.")
    chosen: list[str] = Field(description="Settings that somebody chose a value for.")
    fixed: dict[str, str] = Field(
        description="Settings that the environment fixes, each with the variable that does."
    )


def _changeable() -> dict[str, Any]:
    """Every setting with its limits; null takes it back to its default."""
    fields: dict[str, Any] = {}
    for name, field in InstanceSettings.model_fields.items():
        more = Field(default=None, description=field.description)
        kind: Any = field.annotation
        for limit in field.metadata:
            kind = Annotated[kind, limit]
        fields[name] = (kind | None, more)
    return fields


class _Based(Input):
    """Upon which settings the changes were made."""

    version: str | None = Field(
        default=None,
        pattern="^[0-9]{1,18}$",
        description="The version that was seen; another one by now answers `settings_changed`.",
    )


SettingsBody = create_model(
    "SettingsBody",
    __base__=_Based,
    __doc__="What is to change. Null: back to the default.",
    **_changeable(),
)


class Change(Model):
    """What became of one setting."""

    name: str
    before: Any
    after: Any


class VersionView(Model):
    """One change of the settings."""

    id: str = Field(description="The version of the settings that it made.")
    at: datetime
    by: Person | None = Field(description="Null: the command line.")
    changes: list[Change]
    undoes: str | None = Field(description="The version that it took back.")

    @classmethod
    def of(cls, row: SettingsVersion, named: People) -> VersionView:
        """From its row."""
        return cls(
            id=str(row.version),
            at=row.at,
            by=named.get(row.actor_id),
            changes=[Change(name=name, **change) for name, change in row.changes.items()],
            undoes=None if row.undoes is None else str(row.undoes),
        )


class History(Model):
    """Changes of the settings, the newest first."""

    items: list[VersionView]
    next_cursor: str | None


@settings.get("/admin/settings", "The instance's settings", answer=SettingsView, errors=_FORBIDDEN)
async def get_settings(call: Call[None, None]) -> SettingsView:
    """What holds, what would without a choice, and what the environment fixes. For admins."""
    authorize_site(call.actor, SiteAction.CHANGE_SETTINGS)
    async with call.api.database.session() as session:
        return await _view(call, session, await newest(session))


@settings.patch(
    "/admin/settings",
    "Change the instance's settings",
    body=SettingsBody,
    answer=SettingsView,
    errors={
        **_FORBIDDEN,
        HTTPStatus.CONFLICT: ("settings_changed", "setting_fixed"),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def patch_settings(call: Call[Any, None]) -> SettingsView:
    """It holds in every process within a second, without a restart. For admins.

    Null takes a setting back to its default. What changed is kept in the history.
    """
    authorize_site(call.actor, SiteAction.CHANGE_SETTINGS)
    wanted = _clean(call.body)
    await _charge(call)
    async with call.api.database.session() as session:
        before = await _locked(session)
        if call.body.version not in (None, str(_number(before))):
            raise Conflict("Somebody changed the settings meanwhile.", code="settings_changed")
        row = await _add(call, session, before, wanted, undoes=None)
        view = await _view(call, session, row)
    await call.api.current.refresh(call.api.database)
    return view


@settings.get(
    "/admin/settings/history",
    "What the settings were",
    query=Page,
    answer=History,
    errors=_FORBIDDEN,
)
async def list_settings_history(call: Call[None, Page]) -> History:
    """Who changed what, the newest first. For admins."""
    authorize_site(call.actor, SiteAction.CHANGE_SETTINGS)
    async with call.api.database.session() as session:
        rows, cursor = await pages.fetch(
            session, select(SettingsVersion), call.query, "settings", SettingsVersion.version
        )
        found = [row.SettingsVersion for row in rows]
        named = await people(session, (row.actor_id for row in found))
    return History(items=[VersionView.of(row, named) for row in found], next_cursor=cursor)


@settings.post(
    "/admin/settings/history/{id}/undo",
    "Take a change of the settings back",
    answer=SettingsView,
    errors={
        **_FORBIDDEN,
        HTTPStatus.NOT_FOUND: ("version_not_found",),
        HTTPStatus.CONFLICT: ("setting_fixed", "nothing_to_undo"),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def undo_settings(call: Call[None, None]) -> SettingsView:
    """What it changed becomes again what it was before it, later changes of the same settings or not;
    nothing else does. For admins.
    """
    authorize_site(call.actor, SiteAction.CHANGE_SETTINGS)
    await _charge(call)
    async with call.api.database.session() as session:
        newest_row = await _locked(session)
        row = await session.get(SettingsVersion, call.id())
        if row is None:
            raise NotFound("There is no such change.", code="version_not_found")
        earlier = await session.get(SettingsVersion, row.version - 1)
        then = earlier.chosen if earlier is not None else {}
        back = {name: then.get(name) for name in row.changes}
        added = await _add(call, session, newest_row, back, undoes=row.version)
        if added is newest_row:
            raise Conflict("This is how it is already.", code="nothing_to_undo")
        view = await _view(call, session, added)
    await call.api.current.refresh(call.api.database)
    return view


# --- how --------------------------------------------------------------------------------------------


async def _charge(call: AnyCall) -> None:
    limit = (limits.SETTINGS_ACCOUNT, str(call.actor.id))
    await call.api.limiter.charge("settings", [limit])


def _clean(body: Any) -> Chosen:
    """What is asked for, as it is kept. Raises Invalid."""
    wanted: Chosen = body.model_dump(mode="json", exclude={"version"}, exclude_unset=True)
    until = body.banner_until
    if until is not None and until.year not in YEARS:
        raise Invalid(
            "This is not a time that can be meant.", code="invalid_field", field="banner_until"
        )
    for name, lines in (
        ("instance_name", False),
        ("tagline", False),
        ("banner_text", True),
        ("about", True),
        ("rules", True),
    ):
        if wanted.get(name) is not None:
            limit = next(m.max_length for m in _metadata(name) if hasattr(m, "max_length"))
            value = wanted[name].replace("\r\n", "\n")
            wanted[name] = names.clean_text(value, limit, name, lines=lines)
    if wanted.get("instance_name") == "":
        raise Invalid("The site needs a name.", code="too_short", field="instance_name")
    return wanted


def _metadata(name: str) -> list[Any]:
    return InstanceSettings.model_fields[name].metadata


async def _locked(session: AsyncSession) -> SettingsVersion | None:
    """The newest version, and nobody adds another before this transaction is over."""
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    return await newest(session)


def _number(row: SettingsVersion | None) -> int:
    return 0 if row is None else row.version


async def _add(
    call: AnyCall,
    session: AsyncSession,
    before: SettingsVersion | None,
    wanted: Mapping[str, Any],
    undoes: int | None,
) -> SettingsVersion | None:
    """Add a version with these choices, None for no choice; the one before when nothing changes.

    Raises Conflict (`setting_fixed`).
    """
    fixed = call.api.current.fixed
    for name in wanted:
        if name in fixed:
            raise Conflict(
                f"This is fixed by {fixed[name]} in the server's environment.",
                code="setting_fixed",
                field=name,
            )
    old = dict(before.chosen) if before is not None else {}
    chosen = {name: value for name, value in {**old, **wanted}.items() if value is not None}
    if chosen == old:
        return before
    was, will = (_plain(call, each) for each in (old, chosen))
    changed = [name for name in was if chosen.get(name) != old.get(name)]
    row = SettingsVersion(
        version=_number(before) + 1,
        actor_id=call.actor.id,
        chosen=chosen,
        changes={name: {"before": was[name], "after": will[name]} for name in changed},
        undoes=undoes,
    )
    session.add(row)
    audit.record(
        session,
        "settings.changed" if undoes is None else "settings.undone",
        actor_id=call.actor.id,
        target=f"settings:{row.version}",
        address=call.address,
        fields=changed,
    )
    await emit(session, SettingsChanged(version=row.version))
    await session.flush()
    await session.refresh(row)
    return row


def _plain(call: AnyCall, chosen: Mapping[str, Any]) -> dict[str, Any]:
    return effective(call.api.settings, chosen).model_dump(mode="json")


async def _view(call: AnyCall, session: AsyncSession, row: SettingsVersion | None) -> SettingsView:
    chosen = dict(row.chosen) if row is not None else {}
    by = None if row is None else (await people(session, [row.actor_id])).get(row.actor_id)
    return SettingsView(
        version=str(_number(row)),
        changed_at=None if row is None else row.at,
        changed_by=by,
        values=effective(call.api.settings, chosen),
        defaults=effective(call.api.settings, {}),
        chosen=[name for name in InstanceSettings.model_fields if name in chosen],
        fixed=call.api.current.fixed,
    )
