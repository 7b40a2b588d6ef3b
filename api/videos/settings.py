"""What becomes of a channel's broadcasts: who may watch their videos, and how long they are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from api import audit
from api.channels.queries import ChannelRow, find_channel
from api.operations import AnyCall, Call, Input, Model
from api.videos.area import OWNERS, videos
from core.access import Action, ChannelRef, authorize
from core.db.models import Channel, Visibility


class VideoSettingsBody(Input):
    """What of the settings changes."""

    visibility: Annotated[Visibility, Field(strict=False)] | None = Field(
        default=None, description="Who may watch the videos that broadcasts become from now on."
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36500,
        description="Days after which broadcasts are removed; null: as the site does it.",
    )


class VideoSettingsView(Model):
    """What becomes of a channel's broadcasts."""

    visibility: Visibility
    retention_days: int | None
    site_retention_days: int | None = Field(
        description="What holds where the channel says nothing; null: they are kept for good."
    )
    trash_days: float = Field(description="How long a deleted video can be restored.")


@videos.get(
    "/channels/{login}/video-settings",
    "A channel's settings for videos",
    answer=VideoSettingsView,
    errors=OWNERS,
)
async def get_video_settings(call: Call[None, None]) -> VideoSettingsView:
    """For its owner, and admins."""
    async with call.api.database.session() as session:
        channel = await _own_channel(call, session)
        return await _view(call, session, channel)


async def _own_channel(call: AnyCall, session: AsyncSession) -> ChannelRow:
    channel = await find_channel(session, call.path["login"])
    authorize(call.actor, Action.EDIT_CHANNEL, ChannelRef(channel.id))
    return channel


async def _view(call: AnyCall, session: AsyncSession, channel: ChannelRow) -> VideoSettingsView:
    row = await session.get_one(Channel, channel.id, populate_existing=True)
    settings = call.api.current.now
    return VideoSettingsView(
        visibility=Visibility(row.video_visibility),
        retention_days=row.retention_days,
        site_retention_days=settings.video_retention_days or None,
        trash_days=settings.trash_days,
    )


@videos.patch(
    "/channels/{login}/video-settings",
    "Change a channel's settings for videos",
    body=VideoSettingsBody,
    answer=VideoSettingsView,
    errors=OWNERS,
)
async def patch_video_settings(call: Call[VideoSettingsBody, None]) -> VideoSettingsView:
    """The visibility holds for broadcasts that begin from now on; the retention for all of them, also
    those that are there: shortening it may remove videos within minutes.
    """
    given = call.body.model_dump(exclude_unset=True)
    changes = {
        {"visibility": "video_visibility"}.get(name, name): value
        for name, value in given.items()
        if name != "visibility" or value is not None
    }
    async with call.api.database.session() as session:
        channel = await _own_channel(call, session)
        if changes:
            await session.execute(
                update(Channel)
                .where(Channel.id == channel.id)
                .values(**changes, updated_at=datetime.now(UTC))
            )
            if call.actor.id != channel.id:
                audit.record(
                    session,
                    "channel.video_settings_edited",
                    actor_id=call.actor.id,
                    target=f"channel:{channel.id}",
                    address=call.address,
                    fields=sorted(given),
                )
        return await _view(call, session, channel)
