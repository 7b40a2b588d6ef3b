"""One broadcast session: FLV of every rendition in, files and playlists out."""

from __future__ import annotations

from datetime import datetime

from .amf import Value
from .codecs import AudioConfig, VideoConfig, parse_aac, parse_video
from .events import (
    Event,
    ListedSegment,
    OpenSegment,
    PackagerConfig,
    SourceChanged,
    SourceInfo,
    StreamFault,
)
from .flv import (
    AudioFrame,
    AudioRecord,
    FlvError,
    FlvReader,
    Header,
    Item,
    Metadata,
    VideoFrame,
    VideoRecord,
)
from .follower import AudioSibling, Picture, Rung, Sound
from .lead import Lead
from .playlist import Variant, multivariant, wall_of
from .rendition import Rendition
from .timing import Clock

MAX_OFFSET_MS = 10_000  # a composition offset past this is no frame reordering


class _Input:
    """One FLV byte stream: its reader, its clock, and what it said of itself."""

    def __init__(self, rendition: Rendition) -> None:
        self.rendition = rendition
        #: The tracks as last configured: what a playlist says while a new input has not begun.
        self.shown: dict[str, VideoConfig | AudioConfig] = {}
        self.restart(0)

    def restart(self, epoch: int) -> None:
        self.reader = FlvReader()
        self.clock = Clock()
        self.epoch = epoch
        self.failed = False
        self.promises_audio = True
        self.video: VideoConfig | None = None
        self.audio: AudioConfig | None = None
        self.claimed_rate = 0.0
        self.encoder = ""
        self.told: SourceInfo | None = None

    def describe(self, frame_rate: float) -> SourceInfo | None:
        """None while too little is known."""
        video, audio = self.video, self.audio
        if (video is None and audio is None) or (
            audio is None and self.promises_audio and not frame_rate
        ):
            return None
        names = [config.codecs for config in (video, audio) if config is not None]
        reason = video.unsafe_reason if video else ""
        return SourceInfo(
            video=video.codec if video else "",
            audio="aac" if audio else "",
            codecs=",".join(names),
            width=video.width if video else 0,
            height=video.height if video else 0,
            frame_rate=(frame_rate or self.claimed_rate) if video else 0.0,
            chroma=video.chroma if video else "",
            bit_depth=video.bit_depth if video else 0,
            sample_rate=audio.sample_rate if audio else 0,
            channels=audio.channels if audio else 0,
            browser_safe=not reason,
            unsafe_reason=reason,
            encoder=self.encoder,
        )  # fmt: skip


class LiveStream:
    """All renditions of one broadcast session.

    The rendition added first is the source: it decides the segments of all. Pure: the only clock is
    the `now` (aware, UTC) given with every call, and nothing is kept but what is still to publish.
    Every call answers the events it caused, in the order they must be made public: files before the
    playlists that name them. No input makes a method raise; what is wrong is a `StreamFault`.
    """

    def __init__(self, config: PackagerConfig, session: str) -> None:
        self._config = config
        self._session = session
        self._events: list[Event] = []
        self._renditions: dict[str, Rendition] = {}
        self._inputs: dict[str, _Input] = {}
        self._followers: dict[str, Rung] = {}
        self._lead: Lead | None = None
        self._source = ""
        self._sibling: AudioSibling | None = None

    def add_rendition(self, name: str, *, audio_only_sibling: str | None = None) -> None:
        """A rendition that will be fed. Only the source may have an audio-only sibling, which is
        made from the same bytes and never fed itself.

        A rung's FLV must be on the source's timeline (same RTMP timestamps, ffmpeg `-copyts`).
        """
        rendition = self._new_rendition(name)
        self._inputs[name] = _Input(rendition)
        if self._lead is None:
            self._lead = Lead(rendition, self._config, self._events)
            self._source = name
            if audio_only_sibling is not None:
                sibling = self._new_rendition(audio_only_sibling)
                self._sibling = AudioSibling(sibling, self._lead)
            return
        self._inputs[name].epoch = self._lead.epoch
        self._followers[name] = Rung(rendition, self._lead)

    def _new_rendition(self, name: str) -> Rendition:
        if name in self._renditions:
            raise ValueError(f"rendition {name} exists")
        rendition = Rendition(name, self._config, self._events)
        self._renditions[name] = rendition
        return rendition

    def feed(self, name: str, data: bytes, now: datetime) -> list[Event]:
        """FLV bytes of rendition `name`, in any chunking, beginning with an FLV header after
        `add_rendition` and after every `cut` of it.
        """
        source = self._inputs[name]
        if not source.failed and not source.rendition.ended:
            try:
                for item in source.reader.feed(data):
                    self._take(name, source, item, now)
                self._follow()
                self._check_memory(name, source)
            except FlvError as error:
                self._fail(name, source, error)
            self._describe(source)
        return self._publish()

    def _check_memory(self, name: str, source: _Input) -> None:
        lead = self._the_lead
        held = lead.pending_bytes if name == self._source else self._followers[name].pending_bytes
        if held > self._config.max_pending_bytes:
            raise FlvError("too_much_data", "The stream sends more than fits a segment.")

    def _fail(self, name: str, source: _Input, error: FlvError) -> None:
        source.failed = True
        self._events.append(StreamFault(name, error.code, str(error)))
        if name == self._source:
            self._the_lead.new_timeline()
            self._follow()
        else:
            self._followers[name].restart()

    @property
    def _the_lead(self) -> Lead:
        if self._lead is None:
            raise RuntimeError("no rendition was added")
        return self._lead

    def _follow(self) -> None:
        if self._sibling is not None:
            self._sibling.drain()
        for follower in self._followers.values():
            follower.drain()

    def _take(self, name: str, source: _Input, item: Item, now: datetime) -> None:
        if isinstance(item, VideoFrame):
            self._take_video(name, source, item, now)
        elif isinstance(item, AudioFrame):
            self._take_audio(name, source, item, now)
        elif isinstance(item, VideoRecord | AudioRecord):
            self._take_record(name, source, item)
        elif isinstance(item, Header):
            source.promises_audio = item.audio
            if name == self._source:
                self._the_lead.promise(item.audio, item.video)
        elif isinstance(item, Metadata):
            self._take_metadata(name, source, item.values)

    def _time(self, name: str, source: _Input, raw: int, track: str) -> int:
        time = source.clock.tick(raw, track)
        if time is not None:
            return time
        self._events.append(
            StreamFault(
                name,
                "timestamps_reset",
                "The stream's clock jumped; viewers see a short break.",
                False,
            )
        )
        if name == self._source:
            self._the_lead.new_timeline()
            source.epoch = self._the_lead.epoch
        else:
            source.epoch += 1
        return raw

    def _take_video(self, name: str, source: _Input, frame: VideoFrame, now: datetime) -> None:
        if not -MAX_OFFSET_MS <= frame.offset <= MAX_OFFSET_MS:
            raise FlvError("timestamps", "The stream's timestamps make no sense.")
        dts = self._time(name, source, frame.time, "video")
        pts = max(0, dts + frame.offset)
        if name == self._source:
            self._the_lead.video(dts, pts, frame.sync, frame.data, now)
        else:
            self._followers[name].push(Picture(source.epoch, pts, dts, frame.sync, frame.data))

    def _take_audio(self, name: str, source: _Input, frame: AudioFrame, now: datetime) -> None:
        time = self._time(name, source, frame.time, "audio")
        if name != self._source:
            self._followers[name].push(Sound(source.epoch, time, frame.data))
            return
        self._the_lead.audio(time, frame.data, now)
        if self._sibling is not None:
            self._sibling.push(Sound(source.epoch, time, frame.data))

    def _take_record(self, name: str, source: _Input, item: VideoRecord | AudioRecord) -> None:
        try:
            if isinstance(item, VideoRecord):
                video = parse_video(item.fourcc, item.record)
                source.video = source.shown["video"] = video
                if name == self._source:
                    self._the_lead.video_config(video)
                else:
                    self._followers[name].push(video)
                return
            audio = parse_aac(item.record)
        except ValueError as error:
            raise FlvError(
                "codec_config", f"The stream's decoder configuration: {error}."
            ) from error
        source.audio = source.shown["audio"] = audio
        if name != self._source:
            self._followers[name].push(audio)
            return
        self._the_lead.audio_config(audio)
        if self._sibling is not None:
            self._sibling.push(audio)

    def _take_metadata(self, name: str, source: _Input, values: dict[str, Value]) -> None:
        rate = values.get("framerate")
        if isinstance(rate, float) and 0 < rate <= 1000:
            source.claimed_rate = rate
            if name == self._source:
                self._the_lead.claim_rate(rate)
        encoder = values.get("encoder")
        if isinstance(encoder, str):
            source.encoder = encoder[:100]

    def _describe(self, source: _Input) -> None:
        measured = self._the_lead.frame_rate if source.rendition.name == self._source else 0.0
        told = source.told
        if told is not None and not _has_news(source, told, measured):
            return
        info = source.describe(measured)
        if info is not None:
            source.told = info
            source.rendition.frame_rate = info.frame_rate
            self._events.append(SourceChanged(source.rendition.name, info))

    def listed(self) -> list[ListedSegment]:
        """Every whole segment in the playlists, the oldest of each rendition first."""
        return [
            ListedSegment(
                name, segment.name, segment.msn, segment.duration_us / 1e6,
                segment.start_us / 1e6, wall_of(segment), segment.discontinuity,
                segment.init_name,
            )
            for name, rendition in self._renditions.items()
            for segment in rendition.segments
        ]  # fmt: skip

    def cut(self, now: datetime, name: str | None = None) -> list[Event]:
        """The inputs ended (`name`: that one's only). What they left is published and the segment
        closed. Bytes fed next begin with an FLV header: of the source they are a new timeline, a
        DISCONTINUITY for all; of a rung they go on in the source's next segment, and what the rung
        missed is listed as EXT-X-GAP.
        """
        lead = self._the_lead
        if name is not None and name != self._source:
            self._followers[name].restart()
            self._inputs[name].restart(lead.epoch)
            return self._publish()
        self._cut_all()
        return self._publish()

    def _cut_all(self) -> None:
        lead = self._the_lead
        lead.cut()
        if self._sibling is not None:
            self._sibling.restart()
        for follower in self._followers.values():
            follower.restart()
        for source in self._inputs.values():
            source.restart(lead.epoch)

    def end_rendition(self, name: str, now: datetime) -> list[Event]:
        """A rung (or the sibling) ends for good: EXT-X-ENDLIST, and it leaves the multivariant."""
        follower = self._followers.get(name)
        if follower is None:
            raise ValueError(f"{name} is no rung")
        follower.restart()
        follower.rendition.end()
        return self._publish()

    def end(self, now: datetime) -> list[Event]:
        """The broadcast is over: everything is published and every playlist gets EXT-X-ENDLIST."""
        self._cut_all()
        for rendition in self._renditions.values():
            if not rendition.ended:
                rendition.end()
        return self._publish()

    def _publish(self) -> list[Event]:
        for rendition in self._renditions.values():
            if rendition.dirty:
                reports = [
                    other.report() for other in self._renditions.values() if other is not rendition
                ]
                rendition.render(reports)
        events = self._events[:]
        self._events.clear()
        return events

    @property
    def complete_msn(self) -> int:
        """The number of the source's last whole segment, -1 before the first."""
        return self._renditions[self._source].complete_msn

    def open_segments(self) -> list[OpenSegment]:
        """What is published of the segments that are not finished."""
        found = (rendition.open_segment() for rendition in self._renditions.values())
        return [segment for segment in found if segment is not None]

    @property
    def ready(self) -> bool:
        """Whether every rendition that has not ended has a whole segment, so that a multivariant
        playlist made now is complete. An audio-only sibling of a silent source does not count.
        """
        sound = self._inputs[self._source].shown.get("audio") is not None
        return all(
            rendition.listed or rendition.ended
            for name, rendition in self._renditions.items()
            if name in self._inputs or sound
        )

    def multivariant(self) -> str | None:
        """The multivariant playlist's template, `{p}` standing for the playback id: renditions that
        have a whole segment and have not ended, best first, audio alone last. None until the source
        has its first whole segment. BANDWIDTH is what was measured so far.
        """
        if not self._renditions[self._source].listed:
            return None
        return multivariant(self._session, self.variants())

    def variants(self) -> list[Variant]:
        """What the multivariant playlist lists."""
        ranked: list[tuple[int, Variant]] = []
        for name, rendition in self._renditions.items():
            if not rendition.listed or rendition.ended:
                continue
            peak, average = rendition.bandwidth
            source = self._inputs.get(name, self._inputs[self._source])
            audio_only = name not in self._inputs
            video = None if audio_only else source.shown.get("video")
            configs = [c.codecs for c in (video, source.shown.get("audio")) if c is not None]
            if not configs:
                continue
            width, height = (
                (video.width, video.height) if isinstance(video, VideoConfig) else (0, 0)
            )
            rate = rendition.frame_rate if video else 0.0
            ranked.append(
                (
                    -width * height,
                    Variant(name, ",".join(configs), peak, average, width, height, rate),
                )
            )
        ranked.sort(key=lambda item: item[0])
        return [variant for _, variant in ranked]


def _has_news(source: _Input, told: SourceInfo, measured: float) -> bool:
    codecs = ",".join(c.codecs for c in (source.video, source.audio) if c is not None)
    size = (source.video.width, source.video.height) if source.video else (0, 0)
    drifted = bool(measured and told.video) and abs(measured - told.frame_rate) > 0.02 * measured
    return codecs != told.codecs or size != (told.width, told.height) or drifted
