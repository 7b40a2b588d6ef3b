"""Views of videos and clips, counted by `api` and written here in batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from core.bus import Bus
from core.db.engine import Database
from core.events import recorder_question

_ADD = {
    # Locked in the order of the ids, so that two batches do not wait for each other.
    "videos": text(
        "with counted as (select v.id, c.n from videos v"
        " join unnest(cast(:ids as bigint[]), cast(:counts as bigint[])) as c(id, n) on c.id = v.id"
        " order by v.id for no key update of v)"
        " update videos set views = views + counted.n from counted where videos.id = counted.id"
    ),
    "clips": text(
        "with counted as (select v.id, c.n from clips v"
        " join unnest(cast(:ids as text[]), cast(:counts as bigint[])) as c(id, n) on c.id = v.id"
        " order by v.id for no key update of v)"
        " update clips set views = views + counted.n from counted where clips.id = counted.id"
    ),
}


@dataclass(frozen=True)
class Views:
    """Answers `video.views` and `clip.views`: {counts: {id: number}} → {}."""

    database: Database

    async def respond(self, bus: Bus) -> None:
        """Answer from now on; of all that do, one gets each question."""
        await bus.respond(recorder_question("video.views"), self.of_videos, queue="recorder")
        await bus.respond(recorder_question("clip.views"), self.of_clips, queue="recorder")

    async def of_videos(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Add to the counts of videos; those that are gone count no more."""
        counts = {int(i): n for i, n in question["counts"].items()}
        return await self._add("videos", counts)

    async def of_clips(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The same for clips."""
        return await self._add("clips", question["counts"])

    async def _add(self, table: str, counts: Mapping[Any, int]) -> dict[str, Any]:
        values = {"ids": list(counts), "counts": [int(n) for n in counts.values()]}
        async with self.database.session() as session:
            await session.execute(_ADD[table], values)
        return {}
