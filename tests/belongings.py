"""One of everything that an account can have, so that others can be kept from it."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.app_tokens import tokens
from api.channels import keys
from core.app_tokens import Scope
from core.db.models import (
    Appeal,
    ChatBan,
    ChatHeld,
    ChatNote,
    ChatTerm,
    ChatWarning,
    Emote,
    ModLogEntry,
    Poll,
    Report,
    Stream,
    Suspension,
    UnbanMessage,
    UnbanRequest,
)
from core.db.video_models import Job, Upload, VideoPosition
from core.derived import Purpose, derive
from tests.chat_kit import Person, World
from tests.video_kit import clip, video

_PLACE = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Belongings:
    """What `owner` has. `banned` is barred from the owner's chat and suspended by the site.

    `secret` is in every text that nobody but its owner, or who moderates, may read. `ids` are by the
    word before them in a path, as `stream-keys` in `/me/stream-keys/{id}`.
    """

    owner: Person
    banned: Person
    secret: str
    message: uuid.UUID
    upload: uuid.UUID
    clip: str
    ids: Mapping[str, int]

    def path(self, template: str) -> str:
        """An operation's path, filled in with what the owner has."""
        filled = template
        for name in _PLACE.findall(template):
            filled = filled.replace(f"{{{name}}}", self.parameter(template, name), 1)
        return filled

    def parameter(self, template: str, name: str) -> str:
        """What stands for a parameter of a path."""
        match name:
            case "login":
                return self.owner.login
            case "user":
                return self.banned.login
            case "message" | "upload" | "clip":
                return str(getattr(self, name))
        before = template.partition(f"/{{{name}}}")[0].rpartition("/")[2]
        return str(self.ids[before])


async def belongings(world: World, *, visibility: str = "private", **owner: Any) -> Belongings:
    """A new owner with one of everything; the video and what is made of it as visible as said."""
    secret = f"secret{secrets.token_hex(6)}"
    email = f"{secret}@example.org"
    person = await world.person("owner", email=email, **{"role": "creator", **owner})
    banned = await world.person("barred", role="creator", bio="")
    at, soon = datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1)
    title = secret if visibility == "private" else "A video"
    video_id = await video(
        world.database, person.id, title=title, visibility=visibility, status="ready"
    )
    clip_id = await clip(world.database, person.id, video_id=video_id, creator_id=person.id)
    message, upload = uuid.uuid4(), uuid.uuid4()
    async with world.database.session() as session:
        made = _of_chat(person, banned, secret, soon) | _of_site(person, banned, secret)
        made["exports"] = Job(
            kind="export_mp4", video_id=video_id, user_id=person.id, state="cancelled"
        )
        made["streams"] = Stream(
            channel_id=person.id,
            session=secrets.token_hex(8),
            node="n",
            status="ended",
            ended_at=at,
        )
        made["emotes"] = Emote(channel_id=person.id, code=f"e{secrets.token_hex(4)}")
        session.add_all(made.values())
        session.add(
            ChatHeld(
                id=message, channel_id=person.id, user_id=banned.id, text=secret, reason="automod",
                data=_said(person, banned, message, secret), expires_at=soon,
            )
        )  # fmt: skip
        session.add(
            Upload(
                id=upload, user_id=person.id, video_id=None, name=secret, size=10, expires_at=soon
            )
        )
        session.add(VideoPosition(user_id=person.id, video_id=video_id, at_s=12.0))
        barred = {"channel_id": person.id, "user_id": banned.id, "moderator_id": person.id}
        session.add(ChatBan(**barred, reason=secret))
        await session.flush()
        ids = {name: row.id for name, row in made.items()}
        ids |= await _of_account(session, world, person, secret)
        session.add(
            UnbanMessage(request_id=ids["unban-requests"], author_id=banned.id, text=secret)
        )
        appeal = Appeal(suspension_id=ids["suspensions"], text=secret)
        session.add(appeal)
        await session.flush()
        ids |= {"appeals": appeal.id, "suspension": ids["suspensions"]}
    ids |= {"videos": video_id, "users": person.id, "logins": person.login_id}
    # Of the site, and only its administrators'.
    ids["history"] = 1
    return Belongings(person, banned, secret, message, upload, clip_id, ids)


def _said(room: Person, by: Person, message: uuid.UUID, text: str) -> dict[str, Any]:
    """A message as chat shows it (docs/protocols/chat.md)."""
    user = {"id": str(by.id), "login": by.login, "name": by.login, "color": "", "badges": []}
    return {
        "type": "message",
        "id": str(message),
        "channel": room.login,
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "user": user,
        "text": text,
    }


def _of_chat(owner: Person, banned: Person, secret: str, soon: datetime) -> dict[str, Any]:
    about = {"channel_id": owner.id, "user_id": banned.id}
    return {
        "warning": ChatWarning(**about, moderator_id=owner.id, reason=secret),
        "notes": ChatNote(**about, author_id=owner.id, text=secret),
        "unban-requests": UnbanRequest(**about),
        "blocked-terms": ChatTerm(
            channel_id=owner.id, text=secret, kind="blocked", public=False, folded=secret
        ),
        "log": ModLogEntry(
            channel_id=owner.id, moderator_id=owner.id, action="ban", target_id=banned.id, reason=secret
        ),
        "polls": Poll(
            channel_id=owner.id, question="Which?", choices=["this", "that"], votes=[0, 0],
            ends_at=soon,
        ),
    }  # fmt: skip


def _of_site(owner: Person, banned: Person, secret: str) -> dict[str, Any]:
    return {
        "suspensions": Suspension(user_id=banned.id, scope="account", reason=secret, by=None),
        "reports": Report(
            reporter_id=owner.id, kind="user", subject_user_id=banned.id, reason="spam", text=secret
        ),
    }


async def _of_account(
    session: AsyncSession, world: World, owner: Person, secret: str
) -> dict[str, int]:
    key, _ = await keys.add_key(
        session, owner.id, secret, derive(world.settings, Purpose.STREAM_KEY_PEPPER)
    )
    token, _ = await tokens.add_token(session, owner.id, secret, list(Scope), None)
    return {"stream-keys": key.id, "app-tokens": token.id}
