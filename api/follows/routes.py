"""Operations on follows."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from api import limits, pages
from api.channels.queries import find_channel
from api.follows.follows import follow, followed_since, unfollow
from api.follows.schemas import (
    FollowedChannel,
    FollowedPage,
    FollowerPage,
    FollowerView,
    FollowView,
)
from api.moderation.access import moderated_channel
from api.operations import AnyCall, Call, Operations, Page
from api.people import Person
from api.streams.queries import IS_LIVE
from core.db.models import Follow, Stream, User
from core.errors import Invalid
from core.http import network_of

follows = Operations("Follows")


@follows.get("/channels/{login}/follow", "Whether you follow a channel", answer=FollowView)
async def get_follow(call: Call[None, None]) -> FollowView:
    """And since when."""
    async with call.api.database.session() as session:
        return await _view(call, session)


async def _view(call: AnyCall, session: AsyncSession) -> FollowView:
    channel = await find_channel(session, call.path["login"])
    since = await followed_since(session, call.actor.id, channel.id)
    return FollowView(following=since is not None, since=since, followers=channel.followers)


@follows.put(
    "/channels/{login}/follow",
    "Follow a channel",
    answer=FollowView,
    errors={
        HTTPStatus.UNPROCESSABLE_ENTITY: ("own_channel",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def put_follow(call: Call[None, None]) -> FollowView:
    """Following again changes nothing, since when included."""
    await _charge(call)
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        if channel.id == call.actor.id:
            raise Invalid("Nobody follows their own channel.", code="own_channel")
        await follow(session, call.actor.id, channel.id)
        return await _view(call, session)


@follows.delete(
    "/channels/{login}/follow",
    "Follow a channel no more",
    answer=FollowView,
    errors={HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",)},
)
async def delete_follow(call: Call[None, None]) -> FollowView:
    """Following it later begins anew."""
    await _charge(call)
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        await unfollow(session, call.actor.id, channel.id)
        return await _view(call, session)


async def _charge(call: AnyCall) -> None:
    await call.api.limiter.charge(
        "follow",
        [
            (limits.FOLLOWS_ACCOUNT, str(call.actor.id)),
            (limits.FOLLOWS_ADDRESS, network_of(call.address)),
        ],
    )


@follows.get("/me/follows", "Channels that you follow", query=Page, answer=FollowedPage)
async def list_followed(call: Call[None, Page]) -> FollowedPage:
    """The newest follow first."""
    live = exists().where(Stream.channel_id == Follow.channel_id, IS_LIVE).label("live")
    query = (
        select(Follow, User, live)
        .join(User, User.id == Follow.channel_id)
        .where(Follow.user_id == call.actor.id)
    )
    async with call.api.database.session() as session:
        rows, cursor = await pages.fetch(
            session, query, call.query, "follows", Follow.created_at, Follow.channel_id
        )
    items = [
        FollowedChannel(
            channel=Person.of(row.User), followed_at=row.Follow.created_at, live=row.live
        )
        for row in rows
    ]
    return FollowedPage(items=items, next_cursor=cursor)


@follows.get(
    "/channels/{login}/followers",
    "Who follows a channel",
    query=Page,
    answer=FollowerPage,
    errors={HTTPStatus.FORBIDDEN: ("forbidden",)},
)
async def list_followers(call: Call[None, Page]) -> FollowerPage:
    """For its owner and moderators; the newest first."""
    async with call.api.database.session() as session:
        channel = await moderated_channel(call, session)
        query = (
            select(Follow, User)
            .join(User, User.id == Follow.user_id)
            .where(Follow.channel_id == channel.id)
        )
        rows, cursor = await pages.fetch(
            session, query, call.query, "followers", Follow.created_at, Follow.user_id
        )
    items = [
        FollowerView(user=Person.of(row.User), followed_at=row.Follow.created_at) for row in rows
    ]
    return FollowerPage(items=items, next_cursor=cursor)
