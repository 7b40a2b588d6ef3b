"""Objects that clips and highlights take from another video: they stay as long as anybody names them.

A purge of a video leaves what `named` says; what is left behind goes with the last who names it
(`left_over`).
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.video_models import Clip, Video, VideoTimeline
from recorder.timeline import Timeline

_OWNER = re.compile(r"^videos/(\d+)/")


def keys_of(entries: bytes) -> dict[int, set[str]]:
    """The objects that a timeline names in full, by the video whose folder they are in."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    if entries:
        for each in Timeline.decode(entries).renditions.values():
            for entry in each:
                for key in (entry.key, entry.init) if entry.key is not None else ():
                    owner = _OWNER.match(key or "")
                    if owner is not None and key is not None:
                        found[int(owner[1])].add(key)
    return dict(found)


async def named(
    session: AsyncSession,
    video_id: int,
    *,
    but_clip: str | None = None,
    but_video: int | None = None,
) -> set[str]:
    """The objects in the folder of a video that clips and highlights name, but for one of them."""
    family = await _family(session, video_id)
    clips = select(Clip.entries).where(Clip.video_id.in_(family), Clip.deleted_at.is_(None))
    if but_clip is not None:
        clips = clips.where(Clip.id != but_clip)
    cuts = (
        select(VideoTimeline.entries)
        .join(Video, Video.id == VideoTimeline.video_id)
        .where(Video.id.in_(family - {video_id, but_video}), Video.purged_at.is_(None))
    )
    kept = [*await session.scalars(clips), *await session.scalars(cuts)]
    return await asyncio.to_thread(_together, kept, video_id)


def _together(timelines: Iterable[bytes], video_id: int) -> set[str]:
    return {key for entries in timelines for key in keys_of(entries).get(video_id, ())}


async def _family(session: AsyncSession, video_id: int) -> set[int]:
    """A video, its highlights, and theirs: whatever may have been cut from its segments."""
    found: set[int] = set()
    new = {video_id}
    while new:
        found |= new
        query = select(Video.id).where(Video.source_video_id.in_(new))
        new = set(await session.scalars(query)) - found
    return found


async def left_over(
    session: AsyncSession,
    entries: bytes,
    *,
    clip_id: str | None = None,
    video_id: int | None = None,
) -> set[str]:
    """Of what a cut names, the objects of purged videos that nobody else does: they go with it."""
    keys: set[str] = set()
    for owner, taken in (await asyncio.to_thread(keys_of, entries)).items():
        if owner == video_id:
            continue
        purged = await session.scalar(select(Video.purged_at).where(Video.id == owner))
        exists = await session.scalar(select(Video.id).where(Video.id == owner))
        if purged is not None or exists is None:
            others = await named(session, owner, but_clip=clip_id, but_video=video_id)
            keys |= taken - others
    return keys
