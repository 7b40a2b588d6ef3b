"""What a running stream looks and sounds like, and what its streamer should be told about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from ingest.health import Ceiling, Meter, Sample, Warn, advise
from ingest.kit import SOURCE, Kit
from ingest.ladder import NO_HEADROOM
from ingest.packager import SegmentReady, SourceInfo
from ingest.publisher import MediaFull
from ingest.thumbnails import FILE_NAME

#: How much of a segment is looked at for its picture and its loudness: about a second.
LOOKED_AT_PARTS = 4
#: A passing fault is shown to the streamer this long.
FAULT_SHOWN_S = 30.0


class Watch:
    """Health, warnings and pictures of one session."""

    def __init__(self, kit: Kit, session: str, now: Callable[[], datetime]) -> None:
        self.meter = Meter()
        self._ceiling = Ceiling()
        self.warnings: list[Warn] = []
        self.thumbnail_at: datetime | None = None
        self._kit = kit
        self._session = session
        self._now = now
        self._sample: Sample | None = None
        self._faults: dict[str, tuple[float, Warn]] = {}
        self._photographed: float | None = None
        self._listens = False

    def restart(self) -> None:
        """The input is over: what was measured of it says nothing about the next."""
        self.meter.restart()
        self._ceiling.restart()
        self._sample = None

    def due(self) -> bool:
        """Whether it is time for a new picture; the next is due an interval later."""
        now = time.monotonic()
        interval = self._kit.settings.thumbnail_interval_s
        if self._photographed is not None and now - self._photographed < interval:
            return False
        self._photographed = now
        return True

    async def photograph(self, segment: SegmentReady, info: SourceInfo) -> None:
        """Take a picture of a segment of the source, and measure its loudness."""
        folder = self._kit.media.root / self._session / SOURCE
        # The keyframe comes first, and a second of sound is enough: half the cost of it all.
        names = (segment.init_name, *segment.parts[:LOOKED_AT_PARTS])
        try:
            media = b"".join((folder / name).read_bytes() for name in names)
            # Loudness changes slowly: every second time will do.
            self._listens = not (self._listens and info.video)
            listens = self._listens and bool(info.audio)
            look = await self._kit.photographer.look(
                media, has_video=bool(info.video), has_audio=listens
            )
            if look is None or not folder.is_dir():
                return
            if listens or not info.audio:
                self.meter.levels = look.levels
            if look.picture:
                self._kit.media.replace(self._session, FILE_NAME, look.picture)
                self.thumbnail_at = self._now()
        except (OSError, MediaFull):
            # The next one is a few seconds away.
            return

    def measure(self, info: SourceInfo | None) -> Sample | None:
        """Condense the last seconds into a sample."""
        sample = self.meter.sample(info, time.monotonic())
        if sample is not None:
            self._sample = sample
            if sample.arrival_share is not None:
                self._kit.metrics.arrival.observe(sample.arrival_share)
        return sample

    def excess(self, sample: Sample) -> Warn | None:
        """What of a sample is more than the site takes."""
        now = self._kit.current.now
        return self._ceiling.check(
            sample, time.monotonic(), now.max_bitrate_kbps, now.max_resolution
        )

    def fault(self, code: str, message: str) -> None:
        """A passing fault of the input."""
        self._faults[code] = (time.monotonic(), Warn(code, message))

    def refresh(self, info: SourceInfo | None, missing: str, standing: Warn | None = None) -> None:
        """Bring `warnings` up to date and tell when they are others than before.

        `missing` says why there is no rendition that every browser plays; `standing` holds for the whole
        session.
        """
        now = time.monotonic()
        self._faults = {c: f for c, f in self._faults.items() if f[0] > now - FAULT_SHOWN_S}
        found = {warn.code: warn for _, warn in self._faults.values()}
        if standing is not None:
            found[standing.code] = standing
        if missing:
            found[NO_HEADROOM] = Warn(NO_HEADROOM, missing)
        if self._sample is not None:
            for warn in advise(self._sample, info):
                found.setdefault(warn.code, warn)
        before = [warn.code for warn in self.warnings]
        self.warnings = list(found.values())
        if before != list(found):
            self._kit.host.warned(self._session)
