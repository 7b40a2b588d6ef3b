"""Samples to parts. An assembler fills the open part of one rendition and decides where it ends;
where segments end is told to it (`finish`).

**When is a part full?** As soon as its last frame is here: waiting for the next frame would add a
frame's time to every viewer's latency. So the last sample's duration is predicted from the frame
interval, and the part ends there. The next part begins exactly where this one ended, whatever its
first frame's own time is: decode times stay gapless (a gap of more than two frames makes Media
Source Extensions wait for the next keyframe), while the presentation time is kept exact to the
millisecond by the signed composition offset. The first sample's duration then leads back to the
input's grid, so predictions never add up.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from . import cmaf
from .cmaf import AudioRun, VideoRun
from .rendition import Rendition
from .timing import AudioQueue, FrameRate

# A frame belongs to a part if this share of it does; the part still ends within the target, and the
# rest is made good by the next. So jitter of capture clocks does not make parts a frame short.
SHARE = 0.5
LEAST = 0.86  # of the part target; the draft's floor is 0.85 (4.4.4.9)
AUDIO_LEAD_MS = 1_000  # audio this far past a part's end means that its frames were dropped


class Sample(NamedTuple):
    """One coded picture with its decode and presentation times."""

    dts: int
    pts: int
    sync: bool
    data: memoryview


class VideoAssembler:
    """Parts led by video frames; audio rides along. `start` is the open part's first decode time."""

    def __init__(
        self, rendition: Rendition, rate: FrameRate, target_ms: int, audio: AudioQueue | None
    ) -> None:
        self._rendition = rendition
        self._rate = rate
        self._target = target_ms
        self._least = math.ceil(target_ms * LEAST)
        self._audio = audio
        self._samples: list[Sample] = []
        self.start = 0
        self.last_dts = 0
        self.pending_bytes = 0

    def begin(self, start: int) -> None:
        """A new timeline: the first part begins at `start` ms."""
        self.start = self.last_dts = start
        self._rate.restart()

    def add(self, sample: Sample) -> None:
        """Places a frame: first ends the part if this one would carry it past the target, then ends
        it again if it is now full.
        """
        self.make_room(sample.dts)
        self._samples.append(sample)
        self.pending_bytes += len(sample.data)
        self._rate.observe(sample.dts)
        self.last_dts = sample.dts
        interval = self._rate.interval
        if sample.dts + (1 + SHARE) * interval > self.start + self._target:
            self._emit(self._clamped(sample.dts + interval))

    def add_audio(self, time_ms: int, data: memoryview) -> None:
        if self._audio is not None:
            self._audio.push(time_ms, data)
            self.pending_bytes += len(data)

    @property
    def stalled(self) -> bool:
        """Whether the sound is so far ahead that the open part's pictures must have been dropped."""
        audio = self._audio
        return audio is not None and audio.end_ms - self.start > self._target + AUDIO_LEAD_MS

    def emit_stalled(self) -> None:
        """Ends the open part with the pictures it has, be there none."""
        self._emit(self.start + self._target)

    @property
    def empty(self) -> bool:
        """Whether the open part has no picture yet."""
        return not self._samples

    def make_room(self, dts: int, limit: float = math.inf) -> bool:
        """Ends parts until one is open that a frame at `dts` belongs to. False if a part without
        pictures would have to pass `limit` first: the caller ends the segment and asks again.
        """
        while not self._fits(dts):
            if self._samples:
                self._emit(self._clamped(dts))
            elif self.start + self._target > limit:
                return False
            else:
                self._emit(self.start + self._hole_length(dts - self.start))
        return True

    def _hole_length(self, gap: int) -> int:
        """How long a part without pictures is, so that, if it can be, the last ends at the gap's end."""
        even = gap // math.ceil(gap / self._target)
        return even if even >= self._least else self._target

    def _fits(self, dts: int) -> bool:
        begin = max(dts, self.start + len(self._samples))
        if not self._samples and begin - self.start <= self._target / 2:
            return True
        if len(self._samples) >= self._target:  # a millisecond a sample is all there is
            return False
        return begin + SHARE * self._rate.interval <= self.start + self._target

    def split(self, dts: int) -> None:
        """Ends the open part before a keyframe if it is long enough, so that the next part is
        independent.
        """
        if self._samples and dts - self.start >= self._least:
            self._emit(self._clamped(dts))

    def finish(self, dts: int | None) -> None:
        """Ends the segment's last part, where the next segment's first frame is (`dts`) or, when the
        input ended (None), with everything there is.
        """
        if dts is None:
            self._flush()
            return
        while dts - self.start > self._target:
            self._emit(self.start + self._target)
        if self._samples or dts - self.start > 1.5 * self._rate.interval:
            self._emit(max(dts, self.start + len(self._samples), self.start + 1))

    def _flush(self) -> None:
        audio = self._audio
        while audio and len(audio) and audio.end_ms - self.start > 2 * self._target:
            self._emit(self.start + self._target)
        if not self._samples and not (audio and len(audio)):
            return
        least = self.start + max(1, len(self._samples))
        if self._samples:
            end = round(self._samples[-1].dts + self._rate.interval)
        else:
            end = audio.end_ms if audio else least
        self._emit(max(least, min(end, self.start + self._target)), flush=True)

    def _clamped(self, end: float) -> int:
        """`end` within what a part may last; never less than a millisecond a sample."""
        end = min(max(end, self.start + self._least), self.start + self._target)
        return max(round(end), self.start + len(self._samples))

    def _emit(self, end: int, flush: bool = False) -> None:
        audio = None
        if self._audio:
            audio = self._audio.take(math.inf if flush else end * self._audio.rate // 1000)
        video = self._video_run(end) if self._samples else None
        sequence = self._rendition.next_number + 1
        if video or audio:
            data = cmaf.chunk(sequence, video, audio)
        else:
            data = cmaf.hole(sequence, cmaf.VIDEO_TRACK, self.start, end - self.start)
        independent = bool(self._samples) and self._samples[0].sync
        self._rendition.add_part(data, (end - self.start) * 1000, independent)
        self.start = end
        self._samples.clear()
        self.pending_bytes = 0

    def _video_run(self, end: int) -> VideoRun:
        samples = self._samples
        fields: list[int] = []
        time = self.start
        for index, sample in enumerate(samples):
            left = len(samples) - 1 - index
            following = min(max(samples[index + 1].dts, time + 1), end - left) if left else end
            flags = cmaf.SYNC if sample.sync else cmaf.NON_SYNC
            offset = (sample.pts - time) & 0xFFFFFFFF
            fields += (following - time, len(sample.data), flags, offset)
            time = following
        return VideoRun(self.start, fields, [sample.data for sample in samples])


class AudioAssembler:
    """Parts of audio alone: as many whole frames as fit the target. `start` is in samples."""

    def __init__(self, rendition: Rendition, target_ms: int, audio: AudioQueue) -> None:
        self._rendition = rendition
        self._audio = audio
        self._target = target_ms * audio.rate // 1000
        self.start = 0
        self._running = False
        self.pending_bytes = 0

    def add(self, time_ms: int, data: memoryview) -> None:
        audio = self._audio
        before = audio.end
        frame = audio.push(time_ms, data)
        self.pending_bytes += len(data)
        if not self._running:
            self.start, self._running = frame.time, True
        elif frame.time > before:
            self._skip_hole(frame.time)
        if audio.end + audio.frame - self.start > self._target:
            self._publish(audio.take(), audio.end)

    def _skip_hole(self, time: int) -> None:
        """Lost audio: parts without samples keep the rendition's time running."""
        while time + self._audio.frame - self.start > self._target:
            end = min(self.start + self._target, time)
            self._publish(self._audio.take(time), end)

    def finish(self) -> None:
        """Ends the segment's last part. The next begins with the next frame, also after a hole."""
        if len(self._audio):
            self._publish(self._audio.take(), self._audio.end)
        self._running = False

    def _publish(self, run: AudioRun | None, end: int) -> None:
        sequence = self._rendition.next_number + 1
        if run:
            data = cmaf.chunk(sequence, None, run)
        else:
            data = cmaf.hole(sequence, cmaf.AUDIO_TRACK, self.start, end - self.start)
        rate = self._audio.rate
        duration_us = end * 1_000_000 // rate - self.start * 1_000_000 // rate
        self._rendition.add_part(data, duration_us, True)
        self.start = end
        self.pending_bytes = 0
