"""Who is in a chat, raids, the pinned message, announcements."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from api import limits, names
from api.channels.queries import find_channel
from api.moderation.access import asked_channel, decide, decided, row_of
from api.operations import Call, Input, Model, Operations, Query
from api.people import Person
from core.app_tokens import Scope
from core.db.models import Raid

TEXT_LENGTH = 500
MOST_CHATTERS = 1000

chat = Operations("Chat", scope=Scope.CHANNEL_MODERATE)


def _text(text: str) -> str:
    return names.clean_words(text, TEXT_LENGTH, "text", least=1)


class ChattersQuery(Query):
    """How many."""

    limit: int = Field(default=100, ge=1, le=MOST_CHATTERS)


class Chatter(Person):
    """Somebody in a chat."""

    role: Literal["broadcaster", "moderator", "vip", "viewer"]


class Chatters(Model):
    """Who is in a chat: the broadcaster, moderators and VIPs first."""

    count: int = Field(description="Of all, those without a login included.")
    items: list[Chatter]
    next_cursor: None = None


class RaidBody(Input):
    """Where to."""

    channel: str = Field(max_length=100, description="A login.")


class RaidView(Model):
    """A raid: the viewers go on to another channel."""

    id: str
    to: Person
    viewers: int
    state: Literal["pending", "done", "cancelled"]
    created_at: datetime


class PinBody(Input):
    """What to pin."""

    message: UUID = Field(strict=False)
    duration_s: int | None = Field(
        default=None, ge=30, le=86_400, description="Seconds; default: twenty minutes."
    )


class AnnouncementBody(Input):
    """What to announce."""

    text: Annotated[str, Field(max_length=2 * TEXT_LENGTH), AfterValidator(_text)]
    color: Literal["primary", "blue", "green", "orange", "purple"] = "primary"


@chat.get(
    "/channels/{login}/chatters",
    "Who is in a chat",
    query=ChattersQuery,
    answer=Chatters,
    scope=Scope.CHAT_READ,
    errors=decided(),
)
async def list_chatters(call: Call[None, ChattersQuery]) -> Chatters:
    """At most a thousand, as of this moment."""
    channel = await asked_channel(call)
    answer = await decide(call, channel.id, "chatters", limit=call.query.limit)
    items = [
        Chatter(id=str(c["id"]), login=c["login"], display_name=c["name"], role=c["role"])
        for c in answer["chatters"]
    ]
    return Chatters(count=int(answer["count"]), items=items)


@chat.post(
    "/channels/{login}/raids",
    "Start a raid",
    body=RaidBody,
    answer=RaidView,
    status=201,
    errors=decided(
        forbidden=("raid_not_accepted",),
        conflict=("raid_pending",),
        unprocessable_entity=("raid_self",),
    ),
)
async def create_raid(call: Call[RaidBody, None]) -> RaidView:
    """After a countdown the viewers' pages go to the other channel, unless they stay."""
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        target = await find_channel(session, call.body.channel)
    answer = await decide(call, channel.id, "raid.start", to_channel_id=target.id)
    async with call.api.database.session() as session:
        row = await row_of(session, Raid, int(answer["raid_id"]))
    to = Person(id=str(target.id), login=target.login, display_name=target.display_name)
    return RaidView.model_validate(
        {
            "id": str(row.id),
            "to": to,
            "viewers": row.viewers,
            "state": row.state,
            "created_at": row.created_at,
        }
    )


@chat.delete(
    "/channels/{login}/raids",
    "Cancel a raid",
    errors=decided(not_found=("no_raid",)),
)
async def cancel_raid(call: Call[None, None]) -> None:
    """While it counts down."""
    channel = await asked_channel(call)
    await decide(call, channel.id, "raid.cancel")


@chat.put(
    "/channels/{login}/pins",
    "Pin a message",
    body=PinBody,
    errors=decided(not_found=("message_not_found",)),
)
async def put_pin(call: Call[PinBody, None]) -> None:
    """Above the chat, in place of what is pinned."""
    channel = await asked_channel(call)
    body = call.body
    await decide(
        call, channel.id, "pin.set", message_id=str(body.message), duration_s=body.duration_s
    )


@chat.delete(
    "/channels/{login}/pins",
    "Unpin the message",
    errors=decided(not_found=("no_pin",)),
)
async def delete_pin(call: Call[None, None]) -> None:
    """The message itself stays."""
    channel = await asked_channel(call)
    await decide(call, channel.id, "pin.clear")


@chat.post(
    "/channels/{login}/announcements",
    "Announce something",
    body=AnnouncementBody,
    errors=decided(),
)
async def create_announcement(call: Call[AnnouncementBody, None]) -> None:
    """A message that stands out."""
    channel = await asked_channel(call)
    account = str(call.actor.id)
    await call.api.limiter.charge("announcement", [(limits.ANNOUNCEMENTS_ACCOUNT, account)])
    await decide(call, channel.id, "announce", text=call.body.text, color=call.body.color)
