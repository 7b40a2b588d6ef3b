"""Times: unwrapping FLV's clock, the frame interval, and audio by sample count. All in ms but for
audio's own timescale.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from .cmaf import AudioRun
from .codecs import AudioConfig

# A jump of the input's clock past these is a new timeline; less is jitter or a pause.
BACKWARD_MS = 500
FORWARD_MS = 10_000
WRAP = 1 << 31  # FLV has 32 bits and RTMP uses them, but ffmpeg writes 31: one modulus serves both

AUDIO_HOLE_MS = 100  # a step of the audio clock past this is lost audio, less is jitter
AUDIO_DRIFT_MS = 20  # jitter of ms rounding and of encoders stays below


class Clock:
    """Unwraps tag times. `tick` gives None when the clock jumped: a new timeline begins there.

    Audio and video share the clock but not its order: writers interleave them loosely, so only a
    step back within one track counts.
    """

    def __init__(self) -> None:
        self._last = -1
        self._time = 0
        self._newest = {"audio": -1, "video": -1}

    def tick(self, raw: int, track: str) -> int | None:
        if self._last < 0:
            self._last = self._time = self._newest[track] = raw
            return raw
        delta = (raw - self._last) % WRAP
        if delta >= WRAP // 2:
            delta -= WRAP
        self._last = raw
        time = max(0, self._time + delta)
        if delta > FORWARD_MS or time < self._newest[track] - BACKWARD_MS:
            self._time = raw
            self._newest = {"audio": -1, "video": -1}
            self._newest[track] = raw
            return None
        self._time = time
        self._newest[track] = max(time, self._newest[track])
        return time


class FrameRate:
    """The time between frames in ms, learned from what is seen and deaf to single dropped frames."""

    DEFAULT_MS = 1000 / 30
    ODD_LIMIT = 6

    def __init__(self, interval: float = DEFAULT_MS) -> None:
        self.interval = interval
        self._last: int | None = None
        self._odd = 0
        self._odd_sum = 0

    def restart(self) -> None:
        """A new timeline: the next frame has no predecessor."""
        self._last = None

    def observe(self, time: int) -> None:
        last, self._last = self._last, time
        if last is None:
            return
        delta = time - last
        if 0.6 * self.interval < delta < 1.6 * self.interval:
            self.interval += (delta - self.interval) / 32
            self._odd = 0
            return
        # Dropped frames come and go; a changed rate stays.
        self._odd = self._odd + 1 if self._odd else 1
        self._odd_sum = self._odd_sum + delta if self._odd > 1 else delta
        if self._odd >= self.ODD_LIMIT:
            self.interval = max(1.0, self._odd_sum / self._odd)
            self._odd = 0


def measure_interval(times: Sequence[int], claimed_rate: float) -> float:
    """ms between frames from decode times, dropped frames left out.

    With fewer than three intervals the encoder's claim (frames/s, 0 unknown) is believed first.
    """
    deltas = sorted(b - a for a, b in pairwise(times) if b > a)
    if len(deltas) < 3 and 1 <= claimed_rate <= 240:
        return 1000 / claimed_rate
    if not deltas:
        return FrameRate.DEFAULT_MS
    middle = deltas[len(deltas) // 2]
    usual = [delta for delta in deltas if abs(delta - middle) <= max(1.5, middle / 4)]
    return max(1.0, sum(usual) / len(usual))


def part_target_ms(interval: float, wanted_ms: float) -> int:
    """The part target: the whole number of frames nearest `wanted_ms`, at most a second.

    Rounded up with a third of a millisecond to spare, since times are whole milliseconds and a rate
    measured over a second or two is good to a thousandth: a target a hair too small would cut every
    part one frame short.
    """
    frames = max(1, round(wanted_ms / interval))
    return min(1000, math.ceil(frames * interval + 0.3))


class AudioFrameAt(NamedTuple):
    time: int
    duration: int
    data: memoryview


class AudioQueue:
    """AAC frames that wait for their part, timed by counting samples.

    FLV's times are rounded to ms, so a frame's place is the count of samples before it; when the
    count and the times drift apart (the sound card's clock is not the computer's), single frames
    get a few samples more or less, too few to hear or to split a player's buffer.
    """

    def __init__(self, config: AudioConfig) -> None:
        self.rate = config.sample_rate
        self.frame = config.frame_samples
        self._frames: deque[AudioFrameAt] = deque()
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def end(self) -> int:
        """Where the newest frame ends, in samples; 0 before the first."""
        return self._next or 0

    @property
    def end_ms(self) -> int:
        return self.end * 1000 // self.rate

    def push(self, time_ms: int, data: memoryview) -> AudioFrameAt:
        stamp = time_ms * self.rate // 1000
        time = stamp if self._next is None else self._next
        duration = self.frame
        drift = stamp - time
        if drift > AUDIO_HOLE_MS * self.rate // 1000:
            time = stamp
        elif abs(drift) > AUDIO_DRIFT_MS * self.rate // 1000:
            nudge = self.frame >> 5
            duration += nudge if drift > 0 else -nudge
        frame = AudioFrameAt(time, duration, data)
        self._frames.append(frame)
        self._next = time + duration
        return frame

    def take(self, limit: float = math.inf) -> AudioRun | None:
        """The frames that begin before `limit` (in samples) as one run, None if there is none."""
        frames: list[AudioFrameAt] = []
        while self._frames and self._frames[0].time < limit:
            frames.append(self._frames.popleft())
        if not frames:
            return None
        first, last = frames[0], frames[-1]
        durations: Sequence[int] = ()
        if last.time - first.time != (len(frames) - 1) * self.frame or last.duration != self.frame:
            # A hole inside the run is the frame before it lasting longer: a track has one decode
            # time a chunk, and time must add up.
            durations = [b.time - a.time for a, b in pairwise(frames)] + [last.duration]
        return AudioRun(first.time, self.frame, durations, [frame.data for frame in frames])
