"""A chat's settings, and its shield."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.channels.queries import ChannelRow
from api.moderation.access import (
    SEEN_BY_MODERATORS,
    asked_channel,
    decide,
    decided,
    moderated_channel,
    moderation,
)
from api.operations import AnyCall, Call, Input, Model
from core.db.models import ChatSettings
from core.errors import Invalid

Category = Literal[
    "aggression",
    "bullying",
    "disability",
    "misogyny",
    "race_ethnicity_or_religion",
    "sexuality_sex_or_gender",
    "sex_based_terms",
    "swearing",
]
Level = Annotated[int, Field(ge=0, le=4)]
Slow = Annotated[
    int, Field(ge=0, le=120, description="Seconds between two messages, 3 to 120; 0: off.")
]
Followers = Annotated[
    int, Field(ge=0, le=129_600, description="Minutes one has to have followed; null: off.")
]
Links = Literal["everyone", "followers", "vips", "moderators"]
LinksAction = Literal["hold", "refuse"]
AcceptRaids = Literal["all", "followed", "none"]


class AutoMod(Input):
    """How strict AutoMod is: one level for all, or one for each category. 0 is off, 4 most."""

    overall: Level | None = None
    categories: dict[Category, Level] | None = None


class ShieldSettings(Input):
    """What the shield switches on while it is up, the stricter of this and the settings."""

    slow_s: Slow | None = None
    followers_min: Followers | None = None
    subscribers_only: bool | None = None
    emote_only: bool | None = None
    unique_chat: bool | None = None
    automod: Level | None = None


class RaidGuard(Input):
    """When people come faster than this, moderators are told, or the shield goes up."""

    joins: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="People who join within the window; null: not watched."
    )
    follows: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=None, description="New followers within the window; null: not watched."
    )
    window_s: Annotated[int, Field(ge=5, le=600)] | None = Field(
        default=None, description="The window, seconds."
    )
    shield: bool | None = Field(default=None, description="Whether the shield goes up by itself.")


class SettingsBody(Input):
    """What of the settings changes."""

    slow_s: Slow | None = None
    followers_min: Followers | None = None
    subscribers_only: bool | None = None
    emote_only: bool | None = None
    unique_chat: bool | None = None
    delay_s: Literal[0, 2, 4, 6] | None = Field(
        default=None, description="Seconds after which others than moderators see a message."
    )
    links_from: Links | None = Field(default=None, description="From whom links are welcome.")
    links_action: LinksAction | None = Field(
        default=None, description="What happens to anybody else's links."
    )
    automod: AutoMod | None = None
    shield_settings: ShieldSettings | None = None
    raid_guard: RaidGuard | None = None
    accept_raids: AcceptRaids | None = Field(default=None, description="Who may raid.")


class SettingsView(Model):
    """How a chat is run. `shield` says whether the shield is up."""

    slow_s: int
    followers_min: int | None
    subscribers_only: bool
    emote_only: bool
    unique_chat: bool
    delay_s: int
    links_from: Links
    links_action: LinksAction
    automod: AutoMod
    shield: bool
    shield_settings: ShieldSettings
    raid_guard: RaidGuard
    accept_raids: AcceptRaids
    updated_at: datetime | None

    @classmethod
    def of(cls, row: ChatSettings | None) -> SettingsView:
        """From its row; None: nothing was ever changed."""
        if row is None:
            row = ChatSettings(**_DEFAULTS)
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})


_DEFAULTS: dict[str, Any] = {
    "slow_s": 0,
    "followers_min": None,
    "subscribers_only": False,
    "emote_only": False,
    "unique_chat": False,
    "delay_s": 0,
    "links_from": "everyone",
    "links_action": "hold",
    "automod": {},
    "shield": False,
    "shield_settings": {},
    "raid_guard": {},
    "accept_raids": "all",
    "updated_at": None,
}


class ShieldBody(Input):
    """Whether the shield is up."""

    active: bool


class ShieldView(Model):
    """The shield: strict modes at one stroke."""

    active: bool
    settings: ShieldSettings


async def _settings(session: AsyncSession, channel: ChannelRow) -> SettingsView:
    row = await session.get(ChatSettings, channel.id, populate_existing=True)
    return SettingsView.of(row)


@moderation.get(
    "/channels/{login}/moderation/settings",
    "A chat's settings",
    answer=SettingsView,
    errors=SEEN_BY_MODERATORS,
)
async def get_chat_settings(call: Call[None, None]) -> SettingsView:
    """Modes, links, AutoMod, the shield and raids."""
    async with call.api.database.session() as session:
        return await _settings(session, await moderated_channel(call, session))


@moderation.patch(
    "/channels/{login}/moderation/settings",
    "Change a chat's settings",
    body=SettingsBody,
    answer=SettingsView,
    errors=decided(unprocessable_entity=("invalid_automod",)),
)
async def patch_chat_settings(call: Call[SettingsBody, None]) -> SettingsView:
    """Changes what is given. When it answers, every chat process goes by it."""
    body = call.body
    if body.slow_s is not None and 0 < body.slow_s < 3:
        raise Invalid("Slow mode is 3 to 120 seconds.", code="invalid_field", field="slow_s")
    changes = body.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    if "followers_min" in body.model_fields_set:
        changes["followers_min"] = body.followers_min
    channel = await asked_channel(call)
    if changes:
        await decide(call, channel.id, "settings.set", changes=changes)
    async with call.api.database.session() as session:
        return await _settings(session, await moderated_channel(call, session))


@moderation.get(
    "/channels/{login}/moderation/shield",
    "The shield",
    answer=ShieldView,
    errors=SEEN_BY_MODERATORS,
)
async def get_shield(call: Call[None, None]) -> ShieldView:
    """Whether it is up, and what it switches on."""
    return await _shield(call)


async def _shield(call: AnyCall) -> ShieldView:
    async with call.api.database.session() as session:
        view = await _settings(session, await moderated_channel(call, session))
    return ShieldView(active=view.shield, settings=view.shield_settings)


@moderation.put(
    "/channels/{login}/moderation/shield",
    "Raise or lower the shield",
    body=ShieldBody,
    answer=ShieldView,
    errors=decided(),
)
async def put_shield(call: Call[ShieldBody, None]) -> ShieldView:
    """What it switches on is one of the settings."""
    channel = await asked_channel(call)
    await decide(call, channel.id, "shield.set", active=call.body.active)
    return await _shield(call)
