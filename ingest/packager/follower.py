"""A rendition that cuts where the source cut: the ladder's rungs and the audio-only sibling."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import NamedTuple

from . import cmaf
from .assembler import AudioAssembler, Sample, VideoAssembler
from .codecs import AudioConfig, VideoConfig
from .lead import Lead
from .rendition import Boundary, Rendition
from .timing import AudioQueue, FrameRate


class _Picture(NamedTuple):
    epoch: int
    time: int
    dts: int
    sync: bool
    data: memoryview


class _Sound(NamedTuple):
    epoch: int
    time: int
    data: memoryview


class Follower:
    """Waits with every sample until the source has come as far, so that each is placed in the
    segment whose boundaries are known; its segment numbers and discontinuities are the source's.

    What it misses (it started again, or fell out) is listed as EXT-X-GAP segments. Without video
    (`audio_only`) pictures and their configuration are not given to it.
    """

    def __init__(self, rendition: Rendition, lead: Lead, *, audio_only: bool) -> None:
        self.rendition = rendition
        self._lead = lead
        self._audio_only = audio_only
        self._closed_msn = 0
        self._waiting: deque[_Picture | _Sound | VideoConfig | AudioConfig] = deque()
        self._waiting_bytes = 0
        self.restart()

    def restart(self) -> None:
        """A new input: configurations come again. What the old one left is published."""
        self.drain(everything=True)
        self._close()
        self._video: VideoConfig | None = None
        self._audio: AudioConfig | None = None

    def configure(self, config: VideoConfig | AudioConfig) -> None:
        self._waiting.append(config)

    def video(self, epoch: int, dts: int, pts: int, sync: bool, data: memoryview) -> None:
        self._waiting.append(_Picture(epoch, pts, dts, sync, data))
        self._waiting_bytes += len(data)

    def audio(self, epoch: int, time: int, data: memoryview) -> None:
        self._waiting.append(_Sound(epoch, time, data))
        self._waiting_bytes += len(data)

    @property
    def pending_bytes(self) -> int:
        current = self._assembler
        return self._waiting_bytes + (current.pending_bytes if current else 0)

    def drain(self, *, everything: bool = False) -> None:
        """Places what the source has passed."""
        waiting, lead = self._waiting, self._lead
        while waiting:
            item = waiting[0]
            if isinstance(item, VideoConfig | AudioConfig):
                self._apply(item)
            else:
                passed = item.epoch < lead.epoch or item.time <= lead.frontier
                gated = self._audio_only or isinstance(item, _Picture)
                if gated and not passed and not everything:
                    return
                self._waiting_bytes -= len(item.data)
                if isinstance(item, _Picture):
                    self._place_picture(item)
                else:
                    self._place_sound(item)
            waiting.popleft()

    def _apply(self, config: VideoConfig | AudioConfig) -> None:
        if isinstance(config, VideoConfig):
            if config != self._video:
                self._close()
            self._video = config
        else:
            if config != self._audio:
                self._close()
            self._audio = config

    _assembler: VideoAssembler | AudioAssembler | None = None

    def _place_picture(self, picture: _Picture) -> None:
        if self._video is None:
            return
        slack = self._lead.interval_ms / 2
        target = self._lead.boundary_at(picture.epoch, picture.time + slack)
        if target is None:
            return
        sample = Sample(picture.dts, picture.time, picture.sync, picture.data)
        assembler = self._assembler
        if isinstance(assembler, VideoAssembler) and target.msn > self.rendition.open_msn:
            if target.discontinuity:
                self._close()
                assembler = None
            else:
                assembler.finish(sample.dts)
                self._end_segment()
                self._begin_segment(target, sample.pts)
        if assembler is None:
            if not picture.sync or target.msn <= self._closed_msn:
                return
            assembler = self._start_video(target, sample)
        assert isinstance(assembler, VideoAssembler)
        if picture.sync:
            assembler.split(sample.dts)
        assembler.add(sample)

    def _start_video(self, target: Boundary, first: Sample) -> VideoAssembler:
        lead = self._lead
        assert lead.targets is not None
        self.rendition.use_init(cmaf.init_segment(self._video, self._audio))
        queue = AudioQueue(self._audio) if self._audio else None
        rate = FrameRate(lead.interval_ms)
        assembler = VideoAssembler(self.rendition, rate, lead.targets.part_ms, queue)
        assembler.begin(first.dts)
        self._assembler = assembler
        self._begin_segment(target, first.pts)
        return assembler

    def _place_sound(self, sound: _Sound) -> None:
        if self._audio is None:
            return
        if not self._audio_only:
            if isinstance(self._assembler, VideoAssembler):
                self._assembler.add_audio(sound.time, sound.data)
            return
        half = self._audio.frame_samples * 500 / self._audio.sample_rate
        target = self._lead.boundary_at(sound.epoch, sound.time + half)
        if target is None:
            return
        assembler = self._assembler
        if isinstance(assembler, AudioAssembler) and target.msn > self.rendition.open_msn:
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
            assembler = self._start_audio(target, sound.time)
        assert isinstance(assembler, AudioAssembler)
        assembler.add(sound.time, sound.data)

    def _start_audio(self, target: Boundary, start: int) -> AudioAssembler:
        lead = self._lead
        assert lead.targets is not None and self._audio is not None
        self.rendition.use_init(cmaf.init_segment(None, self._audio))
        queue = AudioQueue(self._audio)
        assembler = AudioAssembler(self.rendition, lead.targets.part_ms, queue)
        self._assembler = assembler
        self._begin_segment(target, start)
        return assembler

    def _begin_segment(self, target: Boundary, time: int) -> None:
        lead = self._lead
        assert lead.targets is not None
        if self.rendition.listed:
            for missed in lead.between(self._closed_msn, target.msn):
                duration = lead.duration_us(missed.msn)
                self.rendition.add_gap(missed, duration, lead.targets)
        wall = target.wall + timedelta(milliseconds=time - target.time)
        self.rendition.begin_segment(target, wall, lead.targets)

    def _end_segment(self) -> None:
        self._closed_msn = max(self._closed_msn, self.rendition.open_msn)
        self.rendition.end_segment()

    def _close(self) -> None:
        """Ends the segment with what there is; the next sample starts again at a boundary."""
        assembler, self._assembler = self._assembler, None
        if isinstance(assembler, VideoAssembler):
            assembler.finish(None)
        elif assembler is not None:
            assembler.finish()
        self._end_segment()
