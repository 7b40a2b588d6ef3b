"""The pictures behind a player's timeline: which there are, where they lie, and what says so.

A storyboard is a row of tiles, one each `interval_s` of media time, laid out in sheets of `columns` ×
`rows`. It grows as the video does: a tile is never made again, and only the last sheet changes. Pure:
numbers in, numbers and text out.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from recorder.timeline import SOURCE, Entry

#: A sheet of 25 is a few tens of kilobytes, and is there before the pointer is.
COLUMNS, ROWS = 5, 5
#: The longer side of a tile, pixels, and the least of the shorter one.
LONG_SIDE, SHORT_SIDE = 160, 16
#: Tiles of a video; a longer one gets fewer a minute.
MOST_TILES = 20_000


@dataclass(frozen=True, slots=True)
class Storyboard:
    """The shape of a storyboard, and the `count` of tiles that are stored.

    `whole`: there will be no more. `width` and `height` are a tile's, in pixels.
    """

    interval_s: float
    width: int
    height: int
    count: int = 0
    columns: int = COLUMNS
    rows: int = ROWS
    whole: bool = False

    @property
    def sheet_size(self) -> int:
        """Tiles of a full sheet."""
        return self.columns * self.rows

    @classmethod
    def of(cls, interval_s: float, width: int, height: int, *, longest_s: float = 0.0) -> Self:
        """A new one for a picture of so many pixels, of a video of `longest_s` as far as one knows."""
        long, short = max(width, height, 1), max(1, min(width, height))
        side = max(SHORT_SIDE, 2 * round(LONG_SIDE * short / long / 2))
        tile = (LONG_SIDE, side) if width >= height else (side, LONG_SIDE)
        return cls(max(interval_s, math.ceil(longest_s / MOST_TILES)), *tile)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self | None:
        """What is stored with a video, None when there is none yet."""
        if not stored.get("width"):
            return None
        return cls(**{name: stored[name] for name in cls.__slots__ if name in stored})

    def stored(self) -> dict[str, Any]:
        """As `read` takes it; JSON. `whole` is there only when it is: an index looks for what is not."""
        return {name: value for name, value in asdict(self).items() if value is not False}

    def due(self, duration_s: float) -> int:
        """How many tiles a video of `duration_s` has."""
        return math.ceil(duration_s / self.interval_s - 1e-6) if duration_s > 0 else 0

    def sheet_of(self, tile: int) -> int:
        """The sheet that holds tile number `tile`, from 0."""
        return tile // self.sheet_size

    def vtt(self, duration_s: float) -> str:
        """WebVTT for a hover preview: each cue names a part of a sheet by `#xywh` (Media Fragments).

        The addresses are relative to a file beside the folder `storyboard`. They name how many tiles the
        sheet holds, so that caches keep one that grows no longer than it is true.
        """
        cues = ["WEBVTT\n"]
        for tile in range(self.count):
            sheet, place = divmod(tile, self.sheet_size)
            held = min(self.sheet_size, self.count - sheet * self.sheet_size)
            x, y = place % self.columns * self.width, place // self.columns * self.height
            begin_s, end_s = tile * self.interval_s, (tile + 1) * self.interval_s
            if tile == self.count - 1:
                # The last one stands for what is not pictured yet, too.
                end_s = max(begin_s + 0.001, duration_s)
            cues.append(
                f"\n{_timestamp(begin_s)} --> {_timestamp(end_s)}\n"
                f"storyboard/{sheet}.jpg?v={held}#xywh={x},{y},{self.width},{self.height}\n"
            )
        return "".join(cues)


def preferred(renditions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Renditions with a picture as a video describes them, those that cost least to decode first."""
    seen = [each for each in renditions if each.get("width")]
    seen.sort(key=lambda each: (not str(each.get("codecs", "")).startswith("avc"), each["height"]))
    return [str(each["name"]) for each in seen]


def candidates(
    stored: Mapping[str, Sequence[Entry]], order: Sequence[str], at_s: float
) -> list[tuple[str, Entry]]:
    """The segments that show the time `at_s`, of each rendition in `order` that has one there.

    Numbers are the same for all renditions of a time; times are the source's.
    """
    main = stored.get(SOURCE) or next(iter(stored.values()), ())
    place = bisect_right(main, at_s + 1e-6, key=lambda entry: entry.start_s) - 1
    if place < 0:
        return []
    number = main[place].msn
    found = []
    for name in order:
        entries = stored.get(name, ())
        index = bisect_right(entries, number, key=lambda entry: entry.msn) - 1
        if index >= 0 and entries[index].msn == number and not entries[index].gap:
            found.append((name, entries[index]))
    return found


def _timestamp(seconds: float) -> str:
    """`01:23:45.678` (WebVTT 4.1)."""
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{ms:03d}"


def spread(luma: bytes) -> float:
    """How much there is to see in a picture: the standard deviation of its brightness, 0 for one colour.

    Takes every seventh pixel: black, white and fades are told from anything else with a thousand.
    """
    sample = luma[::7]
    if not sample:
        return 0.0
    mean = sum(sample) / len(sample)
    return math.sqrt(sum((value - mean) ** 2 for value in sample) / len(sample))
