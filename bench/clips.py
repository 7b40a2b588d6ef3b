"""How long it takes from asking for a clip of a running broadcast until it plays."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass

from bench.stage import Channel

#: A clip is asked for with this much patience, seconds; the figure is what it took.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class ClipTimes:
    """Seconds, one for each clip: until the answer that it is made, and until its playlist is there."""

    made_s: list[float]
    plays_s: list[float]

    @property
    def p50_s(self) -> float:
        """Half of the clips could be played within so long."""
        return statistics.median(self.plays_s)


async def clip_times(
    channel: Channel, *, count: int = 10, duration_s: float = 12.3, pause_s: float = 0.7
) -> ClipTimes:
    """Cut the newest seconds of a live channel again and again, as its owner.

    The pause is no multiple of a group of pictures, so that the ends fall anywhere in one.
    """
    made, plays = [], []
    for number in range(count):
        began = time.monotonic()
        answer = await channel.client.post(
            "/api/v1/clips",
            json={"channel": channel.login, "duration_s": duration_s, "title": f"Clip {number}"},
            timeout=PATIENCE_S,
        )
        answer.raise_for_status()
        made.append(time.monotonic() - began)
        playlist = await channel.client.get(answer.json()["playback_url"])
        playlist.raise_for_status()
        plays.append(time.monotonic() - began)
        await asyncio.sleep(pause_s)
    return ClipTimes(made, plays)
