"""Videos and clips as playlists need them: who may watch, and what there is to list.

What is finished is decoded and rendered once and kept compressed; what still grows is read on from where
it was.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from core.db.engine import Database
from core.db.models import Stream, User, Visibility
from core.db.video_models import Clip, ClipStatus, Video, VideoStatus, VideoTimeline
from core.errors import NotFound
from core.media_paths import object_path
from recorder import broadcasts, timeline
from recorder.live_timeline import LiveTimeline
from recorder.timeline import LEAST_TARGET_S, Address, Rendition, Timeline

#: A running broadcast is looked at so often, however many ask.
LIVE_FRESH_S = 0.5
#: Of running broadcasts that nobody asked for so long nothing is kept.
LIVE_KEPT_S = 60.0
#: Finished playlists that are kept, bytes; an edge keeps what it was given besides.
KEPT_BYTES = 64 * 1024 * 1024


def no_video() -> NotFound:
    """The answer for what is not there, or not for whoever asks."""
    return NotFound("There is no such video.", code="video_not_found")


def state_of(video: Video, now: datetime) -> str:
    """Whether everybody may watch a video (`open`), whoever has a token, or nobody (`gone`)."""
    if video.purged_at is not None or video.status in (VideoStatus.FAILED, VideoStatus.PROCESSING):
        return "gone"
    hidden = (
        video.visibility == Visibility.PRIVATE or video.trashed_at is not None or video.suspended
    )
    published = video.published_at is not None and video.published_at <= now
    return "open" if published and not hidden else "token"


@dataclass(frozen=True)
class Playlist:
    """A playlist, gzip, and for how long it is true, seconds."""

    packed: bytes
    age_s: int


class _Kept:
    """Finished playlists, those that were asked for last."""

    def __init__(self) -> None:
        self._playlists: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._size = 0

    def get(self, key: tuple[str, ...]) -> bytes | None:
        found = self._playlists.get(key)
        if found is not None:
            self._playlists.move_to_end(key)
        return found

    def put(self, key: tuple[str, ...], packed: bytes) -> None:
        self._size += len(packed) - len(self._playlists.get(key, b""))
        self._playlists[key] = packed
        self._playlists.move_to_end(key)
        while self._size > KEPT_BYTES:
            self._size -= len(self._playlists.popitem(last=False)[1])


class _Running:
    """A running broadcast as it was when it was looked at."""

    def __init__(self, target_s: int) -> None:
        self.line = LiveTimeline(target_s)
        self.described: Sequence[Mapping[str, Any]] = ()
        self.looked_at = float("-inf")
        self.lock = asyncio.Lock()


class Catalogue:
    """Playlists of videos and clips."""

    def __init__(self, database: Database, token_key: bytes) -> None:
        self._database = database
        self._token_key = token_key
        self._kept = _Kept()
        self._running: dict[int, _Running] = {}

    # Who may watch

    async def video_state(self, video_id: int) -> dict[str, str]:
        """`{state, prefix}`, for edges."""
        async with self._database.session() as session:
            video = await session.get(Video, video_id)
        if video is None:
            return {"state": "gone", "prefix": ""}
        return {"state": state_of(video, datetime.now(UTC)), "prefix": f"videos/{video_id}"}

    async def clip_state(self, clip_id: str) -> dict[str, str]:
        """The same of a clip: everybody who has its address may watch it, or nobody."""
        async with self._database.session() as session:
            clip = await session.get(Clip, clip_id)
        there = (
            clip is not None
            and clip.deleted_at is None
            and clip.status == ClipStatus.READY
            and not clip.suspended
        )
        return {"state": "open" if there else "gone", "prefix": f"clips/{clip_id}"}

    # Videos

    async def video(self, video_id: int, rendition: str | None, *, skip: bool) -> Playlist:
        """The multivariant playlist of a video, or one rendition's. Raises NotFound."""
        running = self._running.get(video_id)
        if running is None or time.monotonic() - running.looked_at > LIVE_FRESH_S:
            async with self._database.session() as session:
                video = await session.get(Video, video_id)
            if video is None or video.purged_at is not None:
                raise no_video()
            if video.status != VideoStatus.LIVE:
                self._running.pop(video_id, None)
                return await self._finished_video(video, rendition)
            looked = await self._look(video)
            if looked is None:
                # It has ended meanwhile.
                return await self.video(video_id, rendition, skip=skip)
            running = looked
        return _live(running, rendition, skip=skip)

    async def rewind(self, login: str, rendition: str | None, *, skip: bool) -> Playlist:
        """The running broadcast of a channel from its beginning. Raises NotFound."""
        query = (
            select(Video.id)
            .join(Stream, Stream.id == Video.stream_id)
            .join(User, User.id == Video.channel_id)
            .where(
                User.login == login.lower(),
                Stream.status != "ended",
                Video.status == VideoStatus.LIVE,
                Video.visibility != Visibility.PRIVATE,
                Video.trashed_at.is_(None),
                ~Video.suspended,
            )
        )
        async with self._database.session() as session:
            video_id = await session.scalar(query)
        if video_id is None:
            raise NotFound("Nothing of this channel is being recorded.", code="not_recorded")
        if rendition is not None:
            return await self.video(video_id, rendition, skip=skip)
        playlist = await self.video(video_id, None, skip=False)
        text = gzip.decompress(playlist.packed).decode()
        lines = (
            f"/vod/{video_id}/{line}" if line and not line.startswith("#") else line
            for line in text.split("\n")
        )
        return Playlist(gzip.compress("\n".join(lines).encode()), playlist.age_s)

    def forget(self, video_id: int) -> None:
        """A broadcast is over: what was known of it while it ran is not true any more."""
        self._running.pop(video_id, None)

    async def _look(self, video: Video) -> _Running | None:
        """What is stored of a running broadcast; None when it does not run any more."""
        target_s = _target(video.renditions)
        running = self._running.setdefault(video.id, _Running(target_s))
        async with running.lock:
            if time.monotonic() - running.looked_at > LIVE_FRESH_S:
                async with self._database.session() as session:
                    fresh = await broadcasts.segments(session, video.id, running.line.last)
                    # Asked last: as long as it runs, its segments are all there.
                    query = select(Video.status).where(Video.id == video.id)
                    if await session.scalar(query) != VideoStatus.LIVE:
                        self._running.pop(video.id, None)
                        return None
                running.line.extend(fresh)
                running.described = video.renditions
                running.looked_at = time.monotonic()
        self._forget()
        return running

    def _forget(self) -> None:
        now = time.monotonic()
        for video_id in [
            video_id
            for video_id, running in self._running.items()
            if now - running.looked_at > LIVE_KEPT_S
        ]:
            del self._running[video_id]

    async def _finished_video(self, video: Video, rendition: str | None) -> Playlist:
        if rendition is None:
            described = [each for each in video.renditions if each.get("bandwidth")]
            if not described:
                raise no_video()
            text = timeline.multivariant([_rendition(each) for each in described])
            return Playlist(gzip.compress(text.encode()), 3600)
        key = ("video", str(video.id), rendition)
        packed = self._kept.get(key)
        if packed is None:
            async with self._database.session() as session:
                entries = await session.scalar(
                    select(VideoTimeline.entries).where(VideoTimeline.video_id == video.id)
                )
            if entries is None:
                raise no_video()
            address = self._address(f"vod/{video.id}", f"videos/{video.id}", rendition)
            target_s = _target(video.renditions)
            packed = await asyncio.to_thread(_render, entries, rendition, address, target_s)
            self._kept.put(key, packed)
        return Playlist(packed, 3600)

    # Clips

    async def clip(self, clip_id: str, rendition: str | None) -> Playlist:
        """The multivariant playlist of a clip, or one rendition's. Raises NotFound.

        Renditions may be added to it for a while after it plays.
        """
        async with self._database.session() as session:
            clip = await session.get(Clip, clip_id)
        if clip is None or clip.deleted_at is not None or not clip.entries:
            raise NotFound("There is no such clip.", code="clip_not_found")
        if rendition is None:
            text = timeline.multivariant([_rendition(each) for each in clip.renditions])
            return Playlist(gzip.compress(text.encode()), 5)
        address = self._address(f"clip-media/{clip_id}", f"clips/{clip_id}", rendition)
        packed = await asyncio.to_thread(_render, clip.entries, rendition, address, 1)
        return Playlist(packed, 60)

    def _address(self, owner: str, prefix: str, rendition: str) -> Address:
        """Addresses beside the playlists of `owner`; those of others' objects are signed."""

        def of(name: str) -> str:
            if "/" not in name:
                return f"{rendition}/{name}"
            if name.startswith(f"{prefix}/"):
                return name[len(prefix) + 1 :]
            return object_path(self._token_key, owner, name)

        return of


def _render(kept: bytes, rendition: str, address: Address, least_s: int) -> bytes:
    entries = Timeline.decode(kept).renditions.get(rendition)
    if not entries:
        raise no_video()
    target_s = timeline.target_duration(entries, least_s)
    text = timeline.media_playlist(entries, target_s=target_s, ended=True, address=address)
    return gzip.compress(text.encode(), 6)


def _target(renditions: Sequence[Mapping[str, Any]]) -> int:
    return max((int(each.get("target_s", 0)) for each in renditions), default=0) or LEAST_TARGET_S


def _rendition(described: Mapping[str, Any]) -> Rendition:
    return Rendition(
        described["name"],
        described.get("codecs", ""),
        described.get("width", 0),
        described.get("height", 0),
        described.get("frame_rate", 0.0),
        described.get("bandwidth", 0),
        described.get("average_bandwidth", 0),
    )


def _live(running: _Running, rendition: str | None, *, skip: bool) -> Playlist:
    playlists = running.line.playlists
    if rendition is not None:
        playlist = playlists.get(rendition)
        if playlist is None or not playlist.entries:
            raise no_video()
        return Playlist(playlist.delta() if skip else playlist.whole(), 1)
    listed = []
    for described in running.described:
        playlist = playlists.get(described["name"])
        if playlist is not None and playlist.entries:
            peak, average = playlist.bandwidth
            each = {**described, "bandwidth": peak, "average_bandwidth": average}
            listed.append(_rendition(each))
    if not listed:
        raise no_video()
    return Playlist(gzip.compress(timeline.multivariant(listed).encode()), 1)
