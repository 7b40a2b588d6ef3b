"""What a `LiveStream` is told at its start and what it answers: plain frozen values, nothing that acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PackagerConfig:
    """Targets and limits of one broadcast session.

    Durations are seconds. `window_s` is how much a playlist holds; whatever it says, never less than
    seven target durations, because a delta update must be able to skip what is older than six
    (RFC 8216bis 4.4.3.8). `max_pending_bytes` bounds what one rendition may hold in memory before it
    is published; past it the rendition ends with the fault `too_much_data`.
    """

    part_target_s: float = 0.2
    segment_target_s: float = 2.0
    window_s: float = 0.0
    min_target_duration: int = 4
    max_target_duration: int = 12
    max_pending_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What one rendition carries, read from its configuration records (never from onMetaData).

    `video`/`audio` are "h264", "hevc", "av1" / "aac", or "" when there is none. `frame_rate` is frames
    per second: the encoder's own claim in the first `SourceChanged`, measured in the one that follows
    the first segment (0.0 = unknown). `browser_safe` is False when some current browser decodes it
    not; `unsafe_reason` then says why in words a streamer understands. `encoder` is onMetaData's, cut
    to 100 characters.
    """

    video: str
    audio: str
    codecs: str
    width: int
    height: int
    frame_rate: float
    chroma: str
    bit_depth: int
    sample_rate: int
    channels: int
    browser_safe: bool
    unsafe_reason: str
    encoder: str


@dataclass(frozen=True, slots=True)
class InitReady:
    """A media initialization section (`ftyp` + `moov`) to store before any part that follows."""

    rendition: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class PartReady:
    """One partial segment (`moof` + `mdat`).

    `number` counts the rendition's parts from 0 since the session began, over reconnects, and names
    the file: that is what makes the preload hint exact. `index` counts within the segment `msn`.
    `duration` is seconds.
    """

    rendition: str
    name: str
    data: bytes
    msn: int
    index: int
    number: int
    duration: float
    independent: bool


@dataclass(frozen=True, slots=True)
class SegmentReady:
    """A whole segment; `data` is its parts joined, `parts` their file names.

    `start` and `duration` are seconds of the rendition's own media time: `start` counts from the
    session's begin and leaves reconnect gaps out. `discontinuity` is True when the segment does not
    continue the one before it. `init_name` is the initialization section it needs.
    """

    rendition: str
    name: str
    msn: int
    duration: float
    start: float
    program_date_time: datetime
    discontinuity: bool
    parts: tuple[str, ...]
    init_name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A segment that is still growing, as far as it was published: of its `parts` (file names) the last
    may be announced in a moment only. The rest is as in `SegmentReady`. No event: it is asked for.
    """

    rendition: str
    msn: int
    duration: float
    start: float
    program_date_time: datetime
    discontinuity: bool
    parts: tuple[str, ...]
    init_name: str


@dataclass(frozen=True, slots=True)
class ListedSegment:
    """A segment that was announced before and is still in its playlist; as `SegmentReady`."""

    rendition: str
    name: str
    msn: int
    duration: float
    start: float
    program_date_time: datetime
    discontinuity: bool
    init_name: str


@dataclass(frozen=True, slots=True)
class PlaylistReady:
    """The media playlist after everything announced before it.

    `delta` is the same playlist as a delta update (RFC 8216bis 6.2.5.1), or "" while nothing can be
    skipped: then a client that asks for one is answered with `text`. `msn`/`part` name the last part
    that is listed (segment number and index in it), `complete_msn` the last whole segment (-1 none),
    `part_number` the last part's session-wide count. One feed gives at most one of these a rendition.
    """

    rendition: str
    text: str
    delta: str
    msn: int
    part: int
    complete_msn: int
    part_number: int
    target_duration: int
    part_target: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Expired:
    """Files no playlist that a client may still hold refers to: they may go."""

    rendition: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """What the rendition carries became known, or changed."""

    rendition: str
    info: SourceInfo


@dataclass(frozen=True, slots=True)
class StreamFault:
    """Something is wrong with the input. The streamer may be shown `message`; `code` is stable.

    When `fatal`, the rendition ignores all input until the next `cut`. Fatal codes: `not_flv`,
    `corrupt_flv`, `video_codec`, `audio_codec`, `codec_config`, `no_keyframe`,
    `too_much_data`, `timestamps`. Warnings: `timestamps_reset`, `keyframe_interval`, `video_gap`,
    `audio_gap`.
    """

    rendition: str
    code: str
    message: str
    fatal: bool = True


Event = InitReady | PartReady | SegmentReady | PlaylistReady | Expired | SourceChanged | StreamFault
