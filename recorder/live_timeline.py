"""The playlists of a broadcast that still runs: each new segment costs what it adds.

Pure. Playlists are kept compressed; the plain one of eight hours has 1.4 MB.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from recorder import timeline
from recorder.timeline import PEAK_S, SOURCE, Entry

_GZIP = 31


@dataclass
class LivePlaylist:
    """One rendition: its segments beside the source's, and the playlist over them."""

    name: str
    target_s: int
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._packed: list[bytes] = []
        self._written = 0
        self._bits = self._peak = self._media_s = 0.0
        self._address = timeline.own_address(self.name)

    def add(self, entries: Sequence[Entry]) -> None:
        """What comes next."""
        self.entries.extend(entries)
        for entry in entries:
            if entry.gap or entry.duration_s <= 0:
                continue
            self._bits += entry.size * 8
            self._media_s += entry.duration_s
            if entry.duration_s >= PEAK_S or not self._peak:
                self._peak = max(self._peak, entry.size * 8 / entry.duration_s)

    @property
    def bandwidth(self) -> tuple[int, int]:
        """Bits a second: the peak so far, and the average."""
        average = self._bits / self._media_s if self._media_s else 0.0
        return math.ceil(max(self._peak, average)), math.ceil(average)

    def whole(self) -> bytes:
        """The playlist, gzip."""
        if not self._written and self.entries:
            self._write(timeline.head(self.entries, target_s=self.target_s, ended=False))
        for text in timeline.segments(self.entries, self._written, self._address):
            self._write(text)
        self._written = len(self.entries)
        return b"".join((*self._packed, self._packer.copy().flush()))

    def _write(self, text: str) -> None:
        packed = self._packer.compress(text.encode())
        if packed:
            self._packed.append(packed)

    def delta(self) -> bytes:
        """Its delta update, gzip."""
        text = timeline.media_playlist(
            self.entries, target_s=self.target_s, ended=False, skip=True, address=self._address
        )
        return zlib.compress(text.encode(), 6, _GZIP)


class LiveTimeline:
    """The renditions of a running broadcast, as far as they are stored."""

    def __init__(self, target_s: int) -> None:
        self.target_s = target_s
        self.playlists: dict[str, LivePlaylist] = {}
        #: The last number of each rendition that was given.
        self.last: dict[str, int] = {}
        self._ahead: dict[str, dict[int, Entry]] = {}
        self._beside: dict[str, int] = {}

    def extend(self, stored: Mapping[str, Sequence[Entry]]) -> None:
        """Segments that were stored since, of each rendition in order and all that there are up to its
        last: what is missing between them never comes.
        """
        for name, entries in stored.items():
            if entries:
                self.last[name] = entries[-1].msn
                self._ahead.setdefault(name, {}).update((entry.msn, entry) for entry in entries)
        main = self._playlist(SOURCE) if SOURCE in self.last else None
        if main is None:
            return
        fresh = sorted(self._ahead[SOURCE].values())
        self._ahead[SOURCE] = {}
        before = main.entries[-1] if main.entries else None
        main.add(list(timeline.continued(before, fresh)))
        for name in self.last:
            if name != SOURCE:
                self._playlist(name).add(list(self._follow(name, main.entries)))

    def _playlist(self, name: str) -> LivePlaylist:
        if name not in self.playlists:
            self.playlists[name] = LivePlaylist(name, self.target_s)
        return self.playlists[name]

    def _follow(self, name: str, main: Sequence[Entry]) -> Iterator[Entry]:
        """The rendition's entries in the places of the source's that it has come to."""
        ahead = self._ahead[name]
        position = self._beside.get(name, 0)
        known = self.playlists[name].entries
        init = known[-1].init if known else next(iter(ahead.values())).init
        while position < len(main) and main[position].msn <= self.last[name]:
            leading = main[position]
            entry = ahead.pop(leading.msn, None)
            if entry is None:
                yield timeline.hole(leading, init)
            else:
                init = entry.init
                yield timeline.in_place(entry, leading)
            position += 1
        self._beside[name] = position
