"""Which renditions a source is transcoded to, and when one of them has to go. Pure.

The source itself is never touched; everything here is extra, so it is planned from the cores that are
idle at the stream's start, with a reserve, and `auto` chooses nothing rather than hurt the source.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from core.rungs import BITRATES, Rung, rung_of
from ingest.packager import SourceInfo

#: In the order of what a further rung is worth to viewers.
PREFERENCE = (480, 720, 360, 240, 1080)
MAX_RUNGS = 4

#: Real pictures cost more than the probe's test card.
CONTENT_FACTOR = 2.0
#: Decoding, as a share of what encoding the same picture costs.
DECODE_SHARE = {"h264": 0.3, "hevc": 0.5, "av1": 0.6}
#: Kept free for the stream itself, its viewers and whatever starts next.
RESERVED_CORES = 1.0
RESERVED_SHARE = 0.25
USABLE_SHARE = 0.6

NO_HEADROOM = "no_compatible_rendition"


@dataclass(frozen=True, slots=True)
class Headroom:
    """The machine at this moment: cores in all and cores that were idle over the last seconds."""

    cores: int
    idle: float

    @property
    def budget(self) -> float:
        """Cores that transcoding may take."""
        reserved = max(RESERVED_CORES, self.cores * RESERVED_SHARE)
        return max(0.0, self.idle - reserved) * USABLE_SHARE


@dataclass(frozen=True, slots=True)
class Plan:
    """What to transcode. `missing` says why the rendition every browser plays is not among it."""

    rungs: tuple[Rung, ...] = ()
    cost: float = 0.0
    missing: str = ""


def plan(setting: str, source: SourceInfo, headroom: Headroom, core_s_per_mpx: float) -> Plan:
    """The ladder for `source`.

    `setting` is "off", "auto" or heights as "480p,360p" (then exactly those below the source's size,
    whatever they cost). `core_s_per_mpx` is the measured CPU time to encode a megapixel. A source that
    not every browser decodes gets one rendition that they do before anything else, "off" or not.
    """
    if not source.video or source.width < 2 or source.height < 2:
        return Plan()
    fps = source.frame_rate or 30.0
    price = core_s_per_mpx * CONTENT_FACTOR * fps / 1e6
    budget = headroom.budget if setting in ("auto", "off") else float("inf")
    cost = source.width * source.height * price * DECODE_SHARE.get(source.video, 0.6)
    chosen: list[Rung] = []

    def take(height: int) -> bool:
        nonlocal cost
        rung = rung_of(height, source.width, source.height, fps)
        extra = rung.width * rung.height * price
        if cost + extra > budget:
            return False
        chosen.append(rung)
        cost += extra
        return True

    wanted = _wanted(setting, source)
    if not source.browser_safe:
        # One that every browser plays, as large as can be; the others must be smaller than that.
        largest = next((height for height in _compatible(setting, source) if take(height)), None)
        if largest is None:
            why = f"{source.unsafe_reason} This server is too busy to add a version for the others."
            return Plan(missing=why)
        wanted = [height for height in wanted if height < largest]
    for height in wanted:
        if len(chosen) < MAX_RUNGS:
            take(height)
    chosen.sort(key=lambda rung: -rung.height)
    return Plan(tuple(chosen), cost if chosen else 0.0)


def _short_side(source: SourceInfo) -> int:
    return min(source.width, source.height)


def _wanted(setting: str, source: SourceInfo) -> list[int]:
    """Heights below the source's, in order of preference."""
    if setting == "off":
        return []
    if setting == "auto":
        # A rung that is nearly the source's size saves nobody anything.
        return [height for height in PREFERENCE if height <= _short_side(source) * 0.8]
    asked = [int(word.removesuffix("p")) for word in setting.split(",")]
    return [height for height in dict.fromkeys(asked) if height <= _short_side(source)]


def _compatible(setting: str, source: SourceInfo) -> list[int]:
    """Sizes for the rendition that every browser decodes, the best first."""
    asked = sorted(_wanted(setting, source), reverse=True) if setting != "auto" else []
    fitting = [height for height in sorted(BITRATES, reverse=True) if height <= _short_side(source)]
    return asked or fitting or [_short_side(source) // 2 * 2]


#: Behind the source by this much a rung is of no use to a low-latency player, seconds.
HOPELESS_S = 2.0
#: Losing this much in each half of the window means slower than real time; less is jitter.
LOST_S = 0.25
SLOW_FOR_S = 10.0


class Pace:
    """Whether one rung keeps up with the source.

    Fed now and then with the media time both have reached, seconds on one scale. `slow` holds once the
    rung has been slower than real time, or hopelessly behind, for ten seconds.
    """

    def __init__(self) -> None:
        self._lags: deque[tuple[float, float]] = deque()
        self._behind_since: float | None = None
        self.slow = False
        #: Media seconds produced per media second received, over the window.
        self.speed = 1.0

    def update(self, now: float, source_s: float, rung_s: float) -> bool:
        """Note where both are; returns `slow`."""
        lag = source_s - rung_s
        self._lags.append((now, lag))
        while len(self._lags) > 1 and self._lags[1][0] <= now - SLOW_FOR_S:
            self._lags.popleft()
        then, before = self._lags[0]
        window = now - then
        if window > 0:
            self.speed = max(0.0, 1.0 - (lag - before) / window)
        if lag <= HOPELESS_S:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        hopeless = self._behind_since is not None and now - self._behind_since >= SLOW_FOR_S
        middle = next(lag for at, lag in self._lags if at >= now - window / 2)
        steadily = middle - before > LOST_S and lag - middle > LOST_S
        losing = window >= SLOW_FOR_S and steadily and lag > 1.0
        self.slow = hopeless or losing
        return self.slow
