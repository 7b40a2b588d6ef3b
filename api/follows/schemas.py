"""JSON of follows."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from api.operations import Model
from api.people import Person


class FollowView(Model):
    """Whether you follow a channel."""

    following: bool
    since: datetime | None
    followers: int = Field(description="Of the channel.")


class FollowedChannel(Model):
    """A channel that you follow."""

    channel: Person
    followed_at: datetime
    live: bool


class FollowedPage(Model):
    """Channels that you follow, the newest follow first."""

    items: list[FollowedChannel]
    next_cursor: str | None


class FollowerView(Model):
    """Somebody who follows a channel."""

    user: Person
    followed_at: datetime


class FollowerPage(Model):
    """Followers, the newest first."""

    items: list[FollowerView]
    next_cursor: str | None
