"""The events services tell each other, one class and one subject each.

They are facts about what has happened, in the past tense, delivered at least once and in order per
outbox: a consumer must not mind seeing one twice. Fields are only ever added, with defaults, and
unknown ones are ignored, so that two releases can run side by side.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

STREAM_NAME = "FOOTLIGHT"
SUBJECT_PREFIX = "footlight.events"
# A question, by request and reply: {channel_id} → {ended}. Every node of ingest hears it, and the one
# that has the channel's stream answers once it has ended.
END_STREAM = "footlight.rpc.ingest.end_stream"
# A question, by request and reply: {session} → {complete, segments: [{rendition, msn, init, start_s,
# duration_s, pdt, discontinuity, parts}]}: the number of the source's last whole segment, and what is
# published of the segments that are not finished. Their files lie in the media folder of the node that
# answers.
OPEN_SEGMENTS = "footlight.rpc.ingest.open_segments"
# A question: {op, channel_id, actor, …} → what came of it. One of the chat processes decides, and it
# holds on all of them when the answer comes (docs/protocols/chat.md).
CHAT_DECIDE = "footlight.rpc.chat.decide"
# Questions to recorder, one subject an operation (`recorder_question`).
RECORDER_RPC = "footlight.rpc.recorder"


def recorder_question(op: str) -> str:
    """The subject of a question to recorder, such as `video.update`: {actor, …} → what came of it.

    One of the recorders answers, once the database holds it (docs/protocols/vod.md).
    """
    return f"{RECORDER_RPC}.{op}"


class Event(BaseModel):
    """Something that happened. `subject` is its NATS subject."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    subject: ClassVar[str]

    def __init_subclass__(cls, *, topic: str = "", **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)  # type: ignore[arg-type]
        if topic:
            cls.subject = f"{SUBJECT_PREFIX}.{topic}"
            _BY_SUBJECT[cls.subject] = cls

    @staticmethod
    def kinds() -> list[type[Event]]:
        """Every class of event."""
        return list(_BY_SUBJECT.values())


_BY_SUBJECT: dict[str, type[Event]] = {}


class StreamStarted(Event, topic="stream.started"):
    """A channel's stream has its first picture."""

    stream_id: int
    channel_id: int
    login: str
    session: str
    node: str
    started_at: datetime


class StreamReconnecting(Event, topic="stream.reconnecting"):
    """The streamer's connection was cut; the stream waits for it."""

    stream_id: int
    channel_id: int
    login: str
    session: str
    at: datetime


class StreamResumed(Event, topic="stream.resumed"):
    """The streamer came back within the grace window."""

    stream_id: int
    channel_id: int
    login: str
    session: str
    at: datetime


class StreamEnded(Event, topic="stream.ended"):
    """The stream is over."""

    stream_id: int
    channel_id: int
    login: str
    session: str
    at: datetime
    reason: str


class StreamKeyRevoked(Event, topic="stream_key.revoked"):
    """A stream key may no longer be used; a stream that uses it has to go."""

    key_id: int
    channel_id: int


class StreamKeyUsed(Event, topic="stream_key.used"):
    """A publisher was admitted with this key."""

    key_id: int
    channel_id: int
    at: datetime


class ChannelUpdated(Event, topic="channel.updated"):
    """Title, category, tags, language or name of a channel changed.

    `title` and `category` are what they are since `at`; without a time neither of them changed.
    """

    channel_id: int
    login: str
    title: str = ""
    category: str | None = None
    at: datetime | None = None


class LoginEnded(Event, topic="login.ended"):
    """A login was ended by its owner, by theft detection or with the account: its sockets are
    closed.
    """

    login_id: int
    user_id: int


class UserDeleted(Event, topic="user.deleted"):
    """An account is gone; its running stream ends and what it owned is removed."""

    user_id: int
    login: str


class UserSuspended(Event, topic="user.suspended"):
    """An account, or its channel only, is suspended: its stream ends and its sockets are closed."""

    suspension_id: int
    user_id: int
    login: str
    # account, channel
    scope: str
    # None: for good.
    until: datetime | None = None


class SuspensionLifted(Event, topic="user.suspension_lifted"):
    """A suspension is lifted or was shortened to nothing."""

    suspension_id: int
    user_id: int
    login: str
    scope: str


class UserUpdated(Event, topic="user.updated"):
    """Name, colour or role of an account changed."""

    user_id: int
    login: str


class FollowAdded(Event, topic="follow.added"):
    """Somebody follows a channel."""

    user_id: int
    channel_id: int
    at: datetime


class FollowRemoved(Event, topic="follow.removed"):
    """Somebody no longer follows a channel."""

    user_id: int
    channel_id: int
    at: datetime


class EmotesChanged(Event, topic="emotes.changed"):
    """Emotes of a channel, or with None of the whole site, were added or removed."""

    channel_id: int | None = None


class AppTokenRevoked(Event, topic="app_token.revoked"):
    """An app token may no longer be used; its sockets are closed."""

    token_id: int
    user_id: int


class VideoStarted(Event, topic="video.started"):
    """A running broadcast has its first stored segment: its video plays from its beginning."""

    video_id: int
    channel_id: int
    stream_id: int


class VideoReady(Event, topic="video.ready"):
    """A video is whole.

    `spans` are its runs without a gap, in order: (start of media time in seconds, wall clock there,
    duration in seconds). A video that is no broadcast's has no stream and no spans.
    """

    video_id: int
    channel_id: int
    stream_id: int | None = None
    spans: list[tuple[float, datetime, float]] = []


class VideoUpdated(Event, topic="video.updated"):
    """Title, visibility or another thing that is shown of a video changed, or it left the trash."""

    video_id: int
    channel_id: int


class VideoRemoved(Event, topic="video.removed"):
    """A video is in the trash, or with `purged` gone for good."""

    video_id: int
    channel_id: int
    purged: bool = False


class ClipReady(Event, topic="clip.ready"):
    """A clip plays."""

    clip_id: str
    channel_id: int
    video_id: int | None = None


class ClipRemoved(Event, topic="clip.removed"):
    """A clip is gone."""

    clip_id: str
    channel_id: int


class SettingsChanged(Event, topic="settings.changed"):
    """Somebody changed the instance's settings: every process reads them again."""

    version: int


class JobDone(Event, topic="job.done"):
    """A job has come to its end: `state` is done, failed or cancelled."""

    job_id: int
    kind: str
    state: str
    user_id: int | None = None
    video_id: int | None = None
    clip_id: str | None = None


def decode(subject: str, payload: bytes) -> Event | None:
    """The event in a message, or None for a subject of a newer release.

    Raises ValueError for a wrong payload.
    """
    kind = _BY_SUBJECT.get(subject)
    return None if kind is None else kind.model_validate_json(payload)
