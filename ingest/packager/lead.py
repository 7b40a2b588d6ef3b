"""The source: decides when a period of one format begins and where segments are cut."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from . import cmaf
from .assembler import AudioAssembler, Sample, VideoAssembler
from .codecs import AudioConfig, VideoConfig
from .events import Event, PackagerConfig, StreamFault
from .flv import FlvError
from .playlist import Targets, target_duration
from .rendition import Rendition
from .schedule import Boundary, Schedule
from .timing import AudioQueue, FrameRate, measure_interval, part_target_ms

LEAST_FIRST_MS = 450  # the first segment's least length: an all-keyframes source has no GOP
NO_KEYFRAME_MS = 15_000
AUDIO_ONLY_AFTER_MS = 3_000
EARLY_AUDIO_MS = 100  # sound may begin that long before the first picture: an encoder's priming
FRAMES_WITHOUT_CONFIG = 30
VIDEO_GAP_MS = 5_000
AUDIO_GAP_MS = 3_000


class _Audio(NamedTuple):
    time: int
    data: memoryview


class Lead:
    """Takes the source's samples, in arrival order, and publishes the rendition they make.

    **Holding.** The first segment of a session is held back until it closes: no player can join
    before one is listed, and its length gives TARGETDURATION, its frames the part target, its tags
    the tracks there are. After a reconnect these are known, and samples pass as soon as the tracks
    are.
    """

    def __init__(self, rendition: Rendition, config: PackagerConfig, events: list[Event]) -> None:
        self.rendition = rendition
        self._config = config
        self._events = events
        self._targets: Targets | None = None
        self.epoch = 0
        self.frontier = -1  # the latest presentation time published or in the open part, ms
        self.schedule = Schedule()
        self._claimed_rate = 0.0
        self._rate = FrameRate()
        self._fresh_input()

    def _fresh_input(self) -> None:
        self._promises_video = self._promises_audio = True
        self._video: VideoConfig | None = None
        self._audio: AudioConfig | None = None
        self._orphans = 0
        self._mute = False
        self._restart()

    def _restart(self) -> None:
        """Nothing runs: wait for a keyframe."""
        self._assembler: VideoAssembler | None = None
        self._audio_assembler: AudioAssembler | None = None
        self._track_audio: AudioConfig | None = None
        self._held: list[Sample | _Audio] = []
        self._held_bytes = 0
        self._keyed = False
        self._waiting_since = -1
        self._delay = 0
        self._gop = 0
        self._last_key = 0
        self._regroup = False
        self._last_sound = 0
        self._gap_told = self._gop_told = False

    @property
    def targets(self) -> Targets:
        """What the playlists promise. RuntimeError before the first segment was released."""
        if self._targets is None:
            raise RuntimeError("targets are fixed when the first segment closes")
        return self._targets

    # -- what the input says ------------------------------------------------------------------

    def promise(self, audio: bool, video: bool) -> None:
        """The file header's flags."""
        self._promises_audio, self._promises_video = audio, video

    def claim_rate(self, frames_per_second: float) -> None:
        self._claimed_rate = frames_per_second

    def video_config(self, config: VideoConfig) -> None:
        if config == self._video:
            return
        if self._video is not None:
            self._end_period()
        self._video = config

    def audio_config(self, config: AudioConfig) -> None:
        if config == self._audio:
            return
        self._audio = config
        if self._audio_assembler is not None:
            self._end_period()
        self._held = [item for item in self._held if isinstance(item, Sample)]

    def new_timeline(self) -> None:
        """The input's clock jumped."""
        self._end_period()
        self.epoch += 1
        self.frontier = -1

    def video(self, dts: int, pts: int, sync: bool, data: memoryview, now: datetime) -> None:
        if self._video is None:
            self._count_orphan("video")
            return
        if self._audio_assembler is not None and sync:
            self._end_period()
        if self._assembler is not None:
            self._place(self._assembler, Sample(dts, pts, sync, data), now)
            return
        if not self._keyed:
            if not sync:
                self._wait_for_key(dts)
                return
            self._keyed, self._first_wall = True, now
            self._held = [item for item in self._held if item[0] >= dts - EARLY_AUDIO_MS]
            self._held_bytes = sum(len(item.data) for item in self._held)
        sample = Sample(dts, pts, sync, data)
        if self._ready(sample):
            assembler = self._release(self._video, sample, now)
            self._place(assembler, sample, now)
        else:
            self._hold(sample)

    def audio(self, time: int, data: memoryview, now: datetime) -> None:
        if self._audio is None:
            self._count_orphan("audio")
            return
        if self._assembler is not None:
            if self._audio == self._track_audio:
                self._add_audio(self._assembler, time, data, now)
            else:
                # A new track begins with the next keyframe: pictures need not wait for it.
                self._regroup, self._mute = True, False
            return
        if self._audio_assembler is not None:
            self._place_audio(self._audio_assembler, time, data, now)
            return
        if not self._held:
            self._first_wall = now
        self._hold(_Audio(time, data))
        if self._keyed:
            return
        held = time - self._held[0][0]
        if self._video is None and held >= (AUDIO_ONLY_AFTER_MS if self._promises_video else 0):
            self._start_audio_only(self._audio, now)
        elif held > AUDIO_ONLY_AFTER_MS:
            self._held_bytes -= len(self._held.pop(0).data)

    def _hold(self, item: Sample | _Audio) -> None:
        self._held.append(item)
        self._held_bytes += len(item.data)

    @property
    def pending_bytes(self) -> int:
        current = self._assembler or self._audio_assembler
        return self._held_bytes + (current.pending_bytes if current else 0)

    def _count_orphan(self, kind: str) -> None:
        self._orphans += 1
        if self._orphans > FRAMES_WITHOUT_CONFIG * (1 if kind == "video" else 10):
            raise FlvError(
                "codec_config", f"The stream's {kind} comes without its decoder configuration."
            )

    def _wait_for_key(self, dts: int) -> None:
        if self._waiting_since < 0:
            self._waiting_since = dts
        elif dts - self._waiting_since > NO_KEYFRAME_MS:
            raise FlvError(
                "no_keyframe", "The stream has no keyframe: nobody could start to watch."
            )

    def _warn(self, code: str, message: str) -> None:
        self._events.append(StreamFault(self.rendition.name, code, message, fatal=False))

    # -- beginning ----------------------------------------------------------------------------

    def _ready(self, sample: Sample) -> bool:
        """Whether what is held can be published, `sample` being the next."""
        first = next((item for item in self._held if isinstance(item, Sample)), None)
        if first is None:
            return self._targets is not None and self._tracks_known
        held = sample.dts - first.dts
        if self._targets is None:
            most = self._config.max_target_duration * 1000
            return (sample.sync and held >= LEAST_FIRST_MS) or held >= most
        return self._tracks_known or held >= 1000

    @property
    def _tracks_known(self) -> bool:
        return self._audio is not None or not self._promises_audio

    def _release(self, video: VideoConfig, sample: Sample | None, now: datetime) -> VideoAssembler:
        """Starts the period with what is held, and with `sample` should that be nothing."""
        frames = [item for item in self._held if isinstance(item, Sample)]
        if sample is not None:
            frames.append(sample)
        if self._targets is None:
            self._fix_targets([frame.dts for frame in frames])
        heard = any(isinstance(item, _Audio) for item in self._held)
        running = self._tracks_known and self.schedule.begun
        self._track_audio = self._audio if (heard or running) and not self._mute else None
        self.rendition.use_init(cmaf.init_segment(video, self._track_audio))
        queue = AudioQueue(self._track_audio) if self._track_audio else None
        assembler = VideoAssembler(self.rendition, self._rate, self.targets.part_ms, queue)
        first = frames[0]
        assembler.begin(first.dts)
        self._assembler = assembler
        self._last_key, self._delay = first.dts, first.pts - first.dts
        self._last_sound = first.dts
        self._begin_period(first.dts, first.pts)
        held, self._held, self._held_bytes = self._held, [], 0
        for item in held:
            if isinstance(item, _Audio):
                self._add_audio(assembler, item.time, item.data, now)
            elif item is first:
                self._add(assembler, item)
            else:
                assembler = self._place(assembler, item, now)
        return assembler

    def _fix_targets(self, times: list[int]) -> None:
        interval = measure_interval(times, self._claimed_rate)
        self._rate = FrameRate(interval)
        config = self._config
        duration = target_duration(
            times[-1] - times[0], config.min_target_duration, config.max_target_duration
        )
        self._targets = Targets(duration, part_target_ms(interval, config.part_target_s * 1000))

    @property
    def frame_rate(self) -> float:
        """Frames per second as measured, 0 before the first segment."""
        return 1000 / self._rate.interval if self._targets else 0.0

    def _start_audio_only(self, audio: AudioConfig, now: datetime) -> None:
        frame_ms = audio.frame_samples * 1000 / audio.sample_rate
        if self._targets is None:
            config = self._config
            span = round(config.segment_target_s * 1000)
            duration = target_duration(span, config.min_target_duration, config.max_target_duration)
            target = part_target_ms(frame_ms, config.part_target_s * 1000)
            self._targets = Targets(duration, target)
        self._track_audio = audio
        self.rendition.use_init(cmaf.init_segment(None, audio))
        assembler = AudioAssembler(self.rendition, self.targets.part_ms, AudioQueue(audio))
        self._audio_assembler = assembler
        start = self._held[0][0]
        self._begin_period(start, start)
        held, self._held, self._held_bytes = self._held, [], 0
        for item in held:
            self._place_audio(assembler, item[0], item.data, now)

    # -- running ------------------------------------------------------------------------------

    def _place(self, assembler: VideoAssembler, sample: Sample, now: datetime) -> VideoAssembler:
        """Adds a frame, after the cuts it calls for. The assembler that runs then."""
        self._cut_long(assembler, sample, now)
        if sample.sync:
            self._gop, self._last_key = sample.dts - self._last_key, sample.dts
            self._mind_silence(sample.dts)
            if self._regroup and self._video is not None:
                assembler = self._begin_anew(self._video, sample, now)
            elif self._segment_due(sample.dts):
                assembler.finish(sample.dts)
                self._next_segment(assembler.start, sample.pts, now)
            else:
                assembler.split(sample.dts)
        self._add(assembler, sample)
        return assembler

    def _mind_silence(self, dts: int) -> None:
        """Sound that stopped coming leaves the tracks: a player would wait for it for ever."""
        if self._track_audio is not None and dts - self._last_sound > AUDIO_GAP_MS:
            self._regroup = self._mute = True
            self._warn("audio_gap", "No sound has arrived for 3 s while the picture goes on.")

    def _begin_anew(self, video: VideoConfig, sample: Sample, now: datetime) -> VideoAssembler:
        """A new period on the same timeline, because the tracks changed."""
        self._end_period()
        self._keyed, self._first_wall = True, now
        return self._release(video, sample, now)

    def _add(self, assembler: VideoAssembler, sample: Sample) -> None:
        assembler.add(sample)
        self._gap_told = False
        if sample.pts > self.frontier:
            self.frontier = sample.pts

    def _segment_due(self, dts: int) -> bool:
        """Whether to cut at this keyframe: is the next one, a GOP later, farther from the target?"""
        elapsed = dts - self.schedule.start
        if self.schedule.begun == 1 and self.rendition.complete_msn < 0:
            return elapsed >= LEAST_FIRST_MS
        wanted = self._config.segment_target_s * 1000
        return elapsed + self._gop / 2 >= wanted or elapsed + self._gop > self._longest_ms

    @property
    def _longest_ms(self) -> int:
        return self.targets.duration * 1000 + 499  # EXTINF counts rounded (4.4.3.1)

    def _cut_long(self, assembler: VideoAssembler, sample: Sample, now: datetime) -> None:
        """Cuts without a keyframe where none came within the target duration, and says so."""
        while not assembler.make_room(sample.dts, self.schedule.start + self._longest_ms):
            self._cut_here(assembler, now)
        if not sample.sync and assembler.empty and self._overdue(assembler):
            self._cut_here(assembler, now)
            self._tell_long_gop()

    def _overdue(self, assembler: VideoAssembler) -> bool:
        """Whether one more part would make the segment longer than the target duration."""
        return assembler.start + self.targets.part_ms > self.schedule.start + self._longest_ms

    def _cut_here(self, assembler: VideoAssembler, now: datetime) -> None:
        self._next_segment(assembler.start, assembler.start + self._delay, now)

    def _tell_long_gop(self) -> None:
        if self._gop_told:
            return
        self._gop_told = True
        self._warn(
            "keyframe_interval",
            f"Your keyframe interval is longer than {self.targets.duration} s, so viewers join late "
            "and may stall: set it to 2 s in OBS → Settings → Output.",
        )

    def _add_audio(
        self, assembler: VideoAssembler, time: int, data: memoryview, now: datetime
    ) -> None:
        assembler.add_audio(time, data)
        self._last_sound = time
        while assembler.stalled:
            if assembler.empty and self._overdue(assembler):
                self._cut_here(assembler, now)
            assembler.emit_stalled()
        if not self._gap_told and time - assembler.last_dts >= VIDEO_GAP_MS:
            self._gap_told = True
            self._warn("video_gap", "No picture has arrived for 5 s while the sound goes on.")

    def _place_audio(
        self, assembler: AudioAssembler, time: int, data: memoryview, now: datetime
    ) -> None:
        if time - self.schedule.start >= self._config.segment_target_s * 1000:
            assembler.finish()
            self._next_segment(time, time, now)
        assembler.add(time, data)
        self.frontier = max(self.frontier, time)

    def _begin_period(self, start: int, time: int) -> None:
        self._begin(*self.schedule.period(self.epoch, start, time, self._first_wall))

    def _next_segment(self, start: int, time: int, now: datetime) -> None:
        self._close_segment()
        self._begin(*self.schedule.segment(self.epoch, start, time, self._delay, now))

    def _begin(self, boundary: Boundary, wall: datetime) -> None:
        self.rendition.begin_segment(boundary, wall, self.targets)

    def _close_segment(self) -> None:
        duration = self.rendition.end_segment()
        if duration:
            self.schedule.closed(duration)

    # -- ending -------------------------------------------------------------------------------

    def _end_period(self) -> None:
        """Publishes all there is and closes the segment; what follows needs a keyframe and is
        discontinuous.
        """
        if self._assembler is None and self._keyed and self._held and self._video is not None:
            self._release(self._video, None, self._first_wall)
        if self._assembler is not None:
            self._assembler.finish(None)
        if self._audio_assembler is not None:
            self._audio_assembler.finish()
        self._close_segment()
        self._restart()

    def cut(self) -> None:
        """The input ended; a new one may follow on a timeline of its own."""
        self._end_period()
        self._fresh_input()
        self.epoch += 1
        self.frontier = -1

    @property
    def interval_ms(self) -> float:
        """Between frames, as measured."""
        return self._rate.interval
