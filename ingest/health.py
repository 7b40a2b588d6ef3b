"""Stream health: what the encoder sends, measured, and what the streamer should change about it.

Pure. `Meter` is fed every tag of the source with its arrival time (monotonic seconds) and condensed
into a `Sample` every few seconds; `advise` turns a sample into warnings with stable codes and words
that name the place in OBS where it is mended.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from ingest.packager import SourceInfo
from ingest.tags import Kind, Tag

#: Keyframe intervals beyond this cost viewers a long wait and late quality changes, seconds.
LONG_GOP_S = 4.2
#: More between two frames than this is a hole, milliseconds and multiples of the usual distance.
GAP_MS = 250
GAP_FRAMES = 3
#: Arrival this much behind real time in one sample means the uplink cannot carry the stream.
SLOW_SHARE = 0.85
SILENT_DB = -70.0
QUIET_DB = -45.0
CLIPPING_DB = -0.1
HIGH_BITRATE = 12_000_000


@dataclass(frozen=True, slots=True)
class Warn:
    """Something the streamer can mend. `code` is stable, `message` is for people."""

    code: str
    message: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True)
class Sample:
    """The last seconds of a source. Rates are per second of arrival, intervals in seconds.

    `arrival_share` is media time received per time passed: 1.0 keeps up. `keyframe_interval_s` is the
    longest among the recent ones, None before the second keyframe. Audio levels are dBFS of a recent
    segment, None when unknown.
    """

    video: str = ""
    audio: str = ""
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    bitrate: int = 0
    video_bitrate: int = 0
    audio_bitrate: int = 0
    keyframe_interval_s: float | None = None
    gaps: int = 0
    longest_gap_ms: int = 0
    arrival_share: float | None = None
    audio_mean_db: float | None = None
    audio_peak_db: float | None = None
    encoder: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Meter:
    """Counts what passes by since the last sample."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._bytes = {Kind.VIDEO: 0, Kind.AUDIO: 0}
        self._frames = 0
        self._gaps = 0
        self._longest_gap = 0
        self._last_video: int | None = None
        self._last_key: int | None = None
        self._intervals: deque[float] = deque(maxlen=4)
        self._usual = 0.0
        self._newest: int | None = None
        self._sampled_media: int | None = None
        self.levels: tuple[float, float] | None = None

    def restart(self) -> None:
        """The encoder came back: its times begin anew."""
        levels = self.levels
        self.__init__()  # type: ignore[misc]
        self.levels = levels

    def tag(self, tag: Tag, now: float) -> None:
        """Note one tag that arrived at `now`."""
        if self._since is None:
            self._since = now
        if tag.kind is Kind.AUDIO:
            self._bytes[Kind.AUDIO] += tag.size
        elif tag.kind is Kind.VIDEO:
            self._video(tag)
        else:
            return
        self._newest = tag.time if self._newest is None else max(self._newest, tag.time)

    def _video(self, tag: Tag) -> None:
        self._bytes[Kind.VIDEO] += tag.size
        self._frames += 1
        if self._last_video is not None:
            step = tag.time - self._last_video
            if step > GAP_MS and step > GAP_FRAMES * self._usual:
                self._gaps += 1
                self._longest_gap = max(self._longest_gap, step)
            elif step > 0:
                self._usual = step if not self._usual else self._usual * 0.9 + step * 0.1
        self._last_video = tag.time
        if tag.keyframe:
            if self._last_key is not None and tag.time > self._last_key:
                self._intervals.append((tag.time - self._last_key) / 1000)
            self._last_key = tag.time

    def sample(self, info: SourceInfo | None, now: float) -> Sample | None:
        """What passed since the last sample; None before anything did."""
        if self._since is None or now <= self._since:
            return None
        elapsed = now - self._since
        video, audio = self._bytes[Kind.VIDEO], self._bytes[Kind.AUDIO]
        mean, peak = self.levels or (None, None)
        sample = Sample(
            video=info.video if info else "",
            audio=info.audio if info else "",
            width=info.width if info else 0,
            height=info.height if info else 0,
            frame_rate=round(self._frames / elapsed, 2),
            bitrate=round((video + audio) * 8 / elapsed),
            video_bitrate=round(video * 8 / elapsed),
            audio_bitrate=round(audio * 8 / elapsed),
            keyframe_interval_s=self._keyframe_interval(),
            gaps=self._gaps,
            longest_gap_ms=self._longest_gap,
            arrival_share=self._share(elapsed),
            audio_mean_db=mean,
            audio_peak_db=peak,
            encoder=info.encoder if info else "",
        )
        self._since = now
        self._bytes = {Kind.VIDEO: 0, Kind.AUDIO: 0}
        self._frames = self._gaps = self._longest_gap = 0
        self._sampled_media = self._newest
        return sample

    def _keyframe_interval(self) -> float | None:
        """The longest of the recent intervals; one that is still open counts once it is longer."""
        running = 0.0
        if self._last_key is not None and self._last_video is not None:
            running = (self._last_video - self._last_key) / 1000
        longest = max(self._intervals, default=0.0)
        if running > max(longest, LONG_GOP_S):
            return round(running, 2)
        return round(longest, 2) if self._intervals else None

    def _share(self, elapsed: float) -> float | None:
        if self._sampled_media is None or self._newest is None:
            return None
        return round((self._newest - self._sampled_media) / 1000 / elapsed, 3)


#: How long more than the limit has to come before it counts, seconds, and what is forgiven.
EXCESS_S = 30.0
EXCESS_SHARE = 1.1


class Ceiling:
    """Whether an encoder sends more than the site allows."""

    def __init__(self) -> None:
        self._since: float | None = None

    def restart(self) -> None:
        """The encoder came back, perhaps with other settings."""
        self._since = None

    def check(self, sample: Sample, now: float, max_kbps: int, max_resolution: int) -> Warn | None:
        """What is too much, None while nothing is. Limits of 0 are none."""
        short_side = min(sample.width, sample.height)
        if max_resolution and short_side > max_resolution:
            return Warn(
                "resolution_too_high",
                f"Your picture is {sample.width}×{sample.height}; this site takes at most "
                f"{max_resolution} lines. Lower it in OBS → Settings → Video → Output Resolution.",
            )
        if not max_kbps or sample.bitrate <= max_kbps * 1000 * EXCESS_SHARE:
            self._since = None
        elif self._since is None:
            self._since = now
        if self._since is None or now - self._since < EXCESS_S:
            return None
        return Warn(
            "bitrate_too_high",
            f"Your encoder sends {sample.bitrate // 1000} kbit/s; this site takes at most {max_kbps}. "
            "Lower it in OBS → Settings → Output → Bitrate.",
        )


def advise(sample: Sample, info: SourceInfo | None) -> list[Warn]:
    """Warnings for a sample, most important first."""
    return [warn for warn in (*_transport(sample), *_video(sample, info), *_audio(sample)) if warn]


def _transport(sample: Sample) -> list[Warn | None]:
    found: list[Warn | None] = []
    if sample.bitrate == 0:
        return [Warn("no_media", "Nothing arrives from your encoder. Check its connection.")]
    if sample.arrival_share is not None and sample.arrival_share < SLOW_SHARE:
        found.append(
            Warn(
                "slow_upload",
                "Your stream arrives slower than it plays: viewers will see it stall. Lower the "
                "bitrate in OBS → Settings → Output, or use a cable instead of Wi-Fi.",
            )
        )
    if sample.gaps:
        found.append(
            Warn(
                "video_gaps",
                f"Frames are missing (a hole of {sample.longest_gap_ms / 1000:.1f} s). Your encoder "
                "or your upload is overloaded: lower the bitrate or the resolution in OBS → "
                "Settings → Output.",
            )
        )
    return found


def _video(sample: Sample, info: SourceInfo | None) -> list[Warn | None]:
    found: list[Warn | None] = []
    if info and not info.video:
        found.append(Warn("no_video", "Your stream has sound but no picture."))
    elif info and sample.video_bitrate == 0:
        found.append(
            Warn(
                "video_stopped",
                "No picture comes from your encoder any more, only sound. If you changed its "
                "settings, stop the stream and start it again.",
            )
        )
    interval = sample.keyframe_interval_s
    if interval is not None and interval > LONG_GOP_S:
        found.append(
            Warn(
                "keyframe_interval",
                f"Your keyframe interval is {interval:.0f} s; set it to 2 s in OBS → Settings → "
                "Output. Viewers wait for the next keyframe before they see anything.",
            )
        )
    if info and not info.browser_safe:
        found.append(
            Warn(
                "not_every_browser",
                f"{info.unsafe_reason} Choose H.264 in OBS → Settings → Output to reach everybody "
                "at full quality.",
            )
        )
    if sample.video_bitrate > HIGH_BITRATE:
        found.append(
            Warn(
                "high_bitrate",
                f"You send {sample.video_bitrate / 1e6:.0f} Mb/s. Many viewers cannot download "
                "that fast; 6 Mb/s is plenty for 1080p60.",
            )
        )
    return found


def _audio(sample: Sample) -> list[Warn | None]:
    if sample.bitrate and not sample.audio:
        return [Warn("no_audio", "Your stream has no sound. Check the mixer in OBS.")]
    if sample.video_bitrate and sample.audio_bitrate == 0:
        return [
            Warn(
                "audio_stopped",
                "No sound comes from your encoder any more. If you changed its settings, stop the "
                "stream and start it again.",
            )
        ]
    if sample.audio_peak_db is None or sample.audio_mean_db is None:
        return []
    if sample.audio_peak_db < SILENT_DB:
        return [Warn("silent", "Your stream is silent. Check that the microphone is not muted.")]
    if sample.audio_mean_db < QUIET_DB:
        return [Warn("quiet", "Your sound is very quiet. Raise the level in OBS → Audio Mixer.")]
    if sample.audio_peak_db >= CLIPPING_DB:
        return [Warn("clipping", "Your sound is too loud and distorts. Lower it in OBS.")]
    return []
