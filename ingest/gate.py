"""Who may publish: a stream key's way from the hook to a channel, or to a refusal with its reason."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core import stream_keys
from core.db.engine import Database
from core.errors import Forbidden, Unavailable
from ingest import store
from ingest.hooks import is_name
from ingest.session import EndReason
from ingest.store import KeyRow

#: A publisher waits for the answer, and nginx not for ever.
TIMEOUT_S = 4.5


class Rejected(Forbidden):
    """A publish that is refused. `channel_id` is whom it concerns, None when the key names nobody."""

    def __init__(self, code: str, message: str, channel_id: int | None = None) -> None:
        super().__init__(message, code=code)
        self.channel_id = channel_id


MESSAGES = {
    "unknown_key": "The stream key is not known. Copy it from your dashboard again.",
    "wrong_key": (
        "Somebody used one of your stream keys with a wrong secret. If that was you, copy the key "
        "from your dashboard again; if not, nothing happened."
    ),
    "revoked_key": "This stream key was deleted. Make a new one on your dashboard.",
    "streaming_not_allowed": "This account may not stream. Ask an administrator of this site.",
    "suspended": "This channel is suspended. Log in on this site to see why, and to appeal.",
    "too_many_takeovers": (
        "Two encoders are using your stream keys in turn. The one that is live stays; stop the "
        "other one."
    ),
    "ended_by_owner": (
        "You ended the stream, and your encoder dialled again by itself. Stop it there, wait a few "
        "seconds and start it again."
    ),
    "stale_connection": "The encoder's connection was gone before it could be answered.",
    "media_full": "The server has no room for another stream at the moment.",
    "unavailable": "The server could not take your stream at the moment. Try again.",
    "nothing_playable": (
        "Your encoder was connected, but nothing that can be played came from it. Check that it sends "
        "a picture with keyframes: in OBS → Settings → Output, keyframe interval 2 s."
    ),
    "stopping": "The server is restarting. Your encoder will get through in a moment.",
}


def rejected(code: str, channel_id: int | None = None) -> Rejected:
    """The refusal with this code."""
    return Rejected(code, MESSAGES[code], channel_id)


@dataclass(slots=True)
class Gate:
    """Checks stream keys against the database."""

    database: Database
    pepper: bytes

    async def check(self, name: str) -> KeyRow:
        """The key that `name` is. Raises Rejected, and Unavailable without a database: closed."""
        key = stream_keys.parse(name) if is_name(name) else None
        if key is None:
            raise rejected("unknown_key")
        try:
            async with asyncio.timeout(TIMEOUT_S), self.database.session() as session:
                row = await store.find_key(session, key.id)
        except TimeoutError as error:
            raise Unavailable("The database does not answer.") from error
        if row is None:
            raise rejected("unknown_key")
        if not key.matches(row.secret_hmac, self.pepper):
            raise rejected("wrong_key", row.channel_id)
        if row.revoked:
            raise rejected("revoked_key", row.channel_id)
        if row.suspended:
            raise rejected("suspended", row.channel_id)
        if not row.may_stream:
            raise rejected("streaming_not_allowed", row.channel_id)
        return row

    async def no_longer_good(self, key_ids: list[int]) -> dict[int, EndReason]:
        """Keys in use that may no longer be, and why. Raises Unavailable."""
        async with self.database.session() as session:
            return await store.no_longer_good(session, key_ids)
