"""Who may publish: a stream key's way from the hook to a channel, or to a refusal with its reason."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from core import stream_keys
from core.buckets import Buckets
from core.db.engine import Database
from core.errors import Forbidden, Unavailable
from core.http import network_of
from core.instance_settings import CurrentSettings
from ingest import store
from ingest.hooks import is_name
from ingest.session import EndReason
from ingest.store import KeyRow, Running

#: A publisher waits for the answer, and nginx not for ever.
TIMEOUT_S = 4.5
#: Keys that are none of ours, from one address: so many at once, and then so many a second. Past that the key is
#: not looked at any more, so that a flood of guesses costs neither a question to the database nor a line in the log.
GUESSES, GUESSES_PER_S = 30, 0.5
GUESSED = frozenset({"unknown_key", "wrong_key"})


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
    "too_many_guesses": (
        "Too many wrong stream keys came from your address. Wait a minute, and copy the key from your "
        "dashboard again."
    ),
    "revoked_key": "This stream key was deleted. Make a new one on your dashboard.",
    "streaming_not_allowed": "This account may not stream. Ask an administrator of this site.",
    "streaming_closed": "No stream can begin on this site at the moment.",
    "too_many_streams": (
        "As many streams are running as this site takes. Try again when one of them has ended."
    ),
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
    current: CurrentSettings
    guesses: Buckets[str] = field(default_factory=lambda: Buckets(GUESSES, GUESSES_PER_S))

    async def check(self, name: str, address: str) -> KeyRow:
        """The key that `name` is. Raises Rejected, and Unavailable without a database: closed."""
        network = network_of(address)
        if self.guesses.wait_s(network, time.monotonic()):
            raise rejected("too_many_guesses")
        try:
            return await self._find(name)
        except Rejected as refusal:
            if refusal.code in GUESSED:
                self.guesses.take(network, time.monotonic())
            raise

    async def _find(self, name: str) -> KeyRow:
        key = stream_keys.parse(name) if is_name(name) else None
        if key is None:
            raise rejected("unknown_key")
        try:
            async with asyncio.timeout(TIMEOUT_S), self.database.session() as session:
                row = await store.find_key(session, key.id)
                running = await self._running(session, row)
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
        if running is not None:
            self._refuse_another(row.channel_id, running)
        return row

    async def _running(self, session: AsyncSession, row: KeyRow | None) -> Running | None:
        """What decides whether one more stream may begin; None while nothing limits that."""
        now = self.current.now
        if row is None or (now.who_may_stream != "nobody" and not now.max_streams):
            return None
        return await store.running(session, row.channel_id)

    def _refuse_another(self, channel_id: int, running: Running) -> None:
        """Raise Rejected when the site takes no further stream.

        One that runs is never kept from coming back. Two that begin in the same instant may both get in.
        """
        now = self.current.now
        if running.own:
            return
        if now.who_may_stream == "nobody":
            raise rejected("streaming_closed", channel_id)
        if now.max_streams and running.others >= now.max_streams:
            raise rejected("too_many_streams", channel_id)

    async def no_longer_good(self, key_ids: list[int]) -> dict[int, EndReason]:
        """Keys in use that may no longer be, and why. Raises Unavailable."""
        async with self.database.session() as session:
            return await store.no_longer_good(session, key_ids)
