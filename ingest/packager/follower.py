"""Renditions that cut where the source cut: the ladder's rungs and the audio-only sibling."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from datetime import timedelta
from typing import NamedTuple

from . import cmaf
from .assembler import AudioAssembler, Sample, VideoAssembler
from .codecs import AudioConfig, VideoConfig
from .lead import Lead
from .rendition import Rendition
from .schedule import Boundary
from .timing import AudioQueue, FrameRate


class Picture(NamedTuple):
    """A frame on timeline `epoch`; `time` is its presentation time in ms."""

    epoch: int
    time: int
    dts: int
    sync: bool
    data: memoryview


class Sound(NamedTuple):
    epoch: int
    time: int
    data: memoryview


class Follower(ABC):
    """Waits with every sample until the source has come as far, so that each is placed in the
    segment whose boundaries are known; its segment numbers and discontinuities are the source's.
    What it misses (it started again, or fell out) is listed as EXT-X-GAP segments.
    """

    def __init__(self, rendition: Rendition, lead: Lead) -> None:
        self.rendition = rendition
        self._lead = lead
        self._closed_msn = 0
        self._waiting: deque[Picture | Sound | VideoConfig | AudioConfig] = deque()
        self._waiting_bytes = 0

    def push(self, item: Picture | Sound | VideoConfig | AudioConfig) -> None:
        self._waiting.append(item)
        if isinstance(item, Picture | Sound):
            self._waiting_bytes += len(item.data)

    @property
    def pending_bytes(self) -> int:
        return self._waiting_bytes + self._open_bytes

    def drain(self, *, everything: bool = False) -> None:
        """Places what the source has passed."""
        waiting, lead = self._waiting, self._lead
        while waiting:
            item = waiting[0]
            if isinstance(item, Picture | Sound):
                passed = item.epoch < lead.epoch or item.time <= lead.frontier
                if not passed and not everything and self._gated(item):
                    return
                self._waiting_bytes -= len(item.data)
            waiting.popleft()
            self._place(item)

    def restart(self) -> None:
        """The input ended: what it left is published. A new one brings its configuration again."""
        self.drain(everything=True)
        self._close()
        self._forget_tracks()

    @property
    @abstractmethod
    def _open_bytes(self) -> int:
        """Bytes held in the open part."""

    @abstractmethod
    def _gated(self, item: Picture | Sound) -> bool:
        """Whether `item` has to wait for the source."""

    @abstractmethod
    def _place(self, item: Picture | Sound | VideoConfig | AudioConfig) -> None: ...

    @abstractmethod
    def _finish_part(self) -> None:
        """Publishes the open part; the next sample starts again."""

    @abstractmethod
    def _forget_tracks(self) -> None: ...

    def _begin_segment(self, target: Boundary, time: int) -> None:
        lead = self._lead
        if self.rendition.listed:
            for missed in lead.schedule.between(self._closed_msn, target.msn):
                self.rendition.add_gap(missed, lead.schedule.duration_us(missed.msn), lead.targets)
        wall = target.wall + timedelta(milliseconds=time - target.time)
        self.rendition.begin_segment(target, wall, lead.targets)

    def _end_segment(self) -> None:
        self._closed_msn = max(self._closed_msn, self.rendition.open_msn)
        self.rendition.end_segment()

    def _close(self) -> None:
        """Ends the segment with what there is; the next sample starts again at a boundary."""
        self._finish_part()
        self._end_segment()


class Rung(Follower):
    """An encoding of the source's picture, with sound, from FLV of its own on the same timeline."""

    _assembler: VideoAssembler | None = None
    _video: VideoConfig | None = None
    _audio: AudioConfig | None = None

    @property
    def _open_bytes(self) -> int:
        return self._assembler.pending_bytes if self._assembler else 0

    def _gated(self, item: Picture | Sound) -> bool:
        return isinstance(item, Picture)

    def _place(self, item: Picture | Sound | VideoConfig | AudioConfig) -> None:
        if isinstance(item, Picture):
            self._place_picture(item)
        elif isinstance(item, Sound):
            if self._assembler is not None:
                self._assembler.add_audio(item.time, item.data)
        elif isinstance(item, VideoConfig):
            if self._video is not None and item != self._video:
                self._close()
            self._video = item
        else:
            if self._audio is not None and item != self._audio:
                self._close()
            self._audio = item

    def _place_picture(self, picture: Picture) -> None:
        # Frame rates may differ: a keyframe belongs to the boundary it is within half a frame of.
        slack = self._lead.interval_ms / 2
        target = self._lead.schedule.at(picture.epoch, picture.time + slack)
        if target is None or self._video is None:
            return
        sample = Sample(picture.dts, picture.time, picture.sync, picture.data)
        assembler = self._assembler
        if assembler is not None and target.msn > self.rendition.open_msn:
            assembler = self._cross(assembler, target, sample)
        if assembler is None:
            # Only at a boundary: the same number must be the same content in every rendition.
            if not picture.sync or target.msn <= self._closed_msn:
                return
            if picture.time - target.time > slack:
                return
            assembler = self._start(self._video, target, sample)
        if picture.sync:
            assembler.split(sample.dts)
        assembler.add(sample)

    def _cross(
        self, assembler: VideoAssembler, target: Boundary, sample: Sample
    ) -> VideoAssembler | None:
        """Into segment `target`. None when that takes a new start with a keyframe."""
        if target.discontinuity:
            self._close()
            return None
        following = self._lead.schedule.after(self.rendition.open_msn) or target
        assembler.finish(min(sample.dts, following.time))
        self._end_segment()
        if target.msn > following.msn:
            assembler.begin(sample.dts)
        self._begin_segment(target, sample.pts)
        return assembler

    def _start(self, video: VideoConfig, target: Boundary, first: Sample) -> VideoAssembler:
        self.rendition.use_init(cmaf.init_segment(video, self._audio))
        queue = AudioQueue(self._audio) if self._audio else None
        rate = FrameRate(self._lead.interval_ms)
        part_ms = self._lead.targets.part_ms
        self._assembler = assembler = VideoAssembler(self.rendition, rate, part_ms, queue)
        assembler.begin(first.dts)
        self._begin_segment(target, first.pts)
        return assembler

    def _finish_part(self) -> None:
        assembler, self._assembler = self._assembler, None
        if assembler is not None:
            assembler.finish(None)

    def _forget_tracks(self) -> None:
        self._video = self._audio = None


class AudioSibling(Follower):
    """The source's sound alone, from the source's own FLV."""

    _assembler: AudioAssembler | None = None
    _audio: AudioConfig | None = None

    @property
    def _open_bytes(self) -> int:
        return self._assembler.pending_bytes if self._assembler else 0

    def _gated(self, item: Picture | Sound) -> bool:
        return True

    def _place(self, item: Picture | Sound | VideoConfig | AudioConfig) -> None:
        if isinstance(item, Sound) and self._audio is not None:
            self._place_sound(self._audio, item)
        elif isinstance(item, AudioConfig):
            if self._audio is not None and item != self._audio:
                self._close()
            self._audio = item

    def _place_sound(self, config: AudioConfig, sound: Sound) -> None:
        half = config.frame_samples * 500 / config.sample_rate
        target = self._lead.schedule.at(sound.epoch, sound.time + half)
        if target is None:
            return
        assembler = self._assembler
        if assembler is not None and target.msn > self.rendition.open_msn:
            if target.discontinuity:
                self._close()
                assembler = None
            else:
                assembler.finish()
                self._end_segment()
                self._begin_segment(target, sound.time)
        if assembler is None:
            if target.msn <= self._closed_msn:
                return
            assembler = self._start(config, target, sound.time)
        assembler.add(sound.time, sound.data)

    def _start(self, config: AudioConfig, target: Boundary, time: int) -> AudioAssembler:
        self.rendition.use_init(cmaf.init_segment(None, config))
        part_ms = self._lead.targets.part_ms
        self._assembler = AudioAssembler(self.rendition, part_ms, AudioQueue(config))
        self._begin_segment(target, time)
        return self._assembler

    def _finish_part(self) -> None:
        assembler, self._assembler = self._assembler, None
        if assembler is not None:
            assembler.finish()

    def _forget_tracks(self) -> None:
        self._audio = None
