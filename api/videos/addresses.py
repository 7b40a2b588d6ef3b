"""Where a video's media is, as its viewer may have it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api.videos.sight import is_open
from core.db.video_models import Video, VideoStatus
from core.media_tokens import media_token

# The picture of a running stream is asked for anew this often, seconds.
_LIVE_PICTURE_S = 30


@dataclass(frozen=True)
class Addresses:
    """Of one video. None: there is none (yet)."""

    playback: str | None
    thumbnail: str | None
    storyboard: str | None
    # When these no longer work; None: they stay.
    expires_at: datetime | None


@dataclass(frozen=True)
class AddressBook:
    """Makes addresses. `key` signs tokens, which live for `life_s` seconds."""

    key: bytes
    life_s: int

    def for_anybody(self, video: Video, login: str, now: datetime) -> Addresses:
        """What everybody may have; nothing of a video that not everybody may watch."""
        if is_open(video, now):
            return self.of(video, login, now)
        return Addresses(None, None, None, None)

    def of(self, video: Video, login: str, now: datetime) -> Addresses:
        """For somebody who may watch it."""
        if video.status in (VideoStatus.PROCESSING, VideoStatus.FAILED):
            return Addresses(None, None, None, None)
        expires_at = None
        base = f"/vod/{video.id}"
        if not is_open(video, now):
            expires_at = now.replace(microsecond=0) + timedelta(seconds=self.life_s)
            base = (
                f"/vod/~{media_token(self.key, video.id, int(expires_at.timestamp()))}/{video.id}"
            )
        return Addresses(
            f"{base}/index.m3u8",
            _thumbnail(video, base, login, now),
            f"{base}/storyboard.vtt" if video.storyboard else None,
            None if expires_at is None else expires_at.astimezone(UTC),
        )


def _thumbnail(video: Video, base: str, login: str, now: datetime) -> str | None:
    if video.poster:
        # The version makes a new picture a new address, so that caches may keep each.
        return f"{base}/poster.jpg?v={video.poster.get('version', 0)}"
    if video.status == VideoStatus.LIVE:
        at = int(now.timestamp()) // _LIVE_PICTURE_S * _LIVE_PICTURE_S
        return f"/live/{login}/thumbnail.jpg?t={at}"
    return None
