"""Checks HLS playlists against the rules, independently of the code that writes them.

The rules are draft-pantos-hls-rfc8216bis (sections beside each check) and the "must" items of
Apple's HLS authoring specification for low latency, marked (Apple). Functions are pure: text in, a
list of findings out, empty when all is well.

    check_media(text)            one media playlist
    check_history(texts)         the same playlist as it changes over time, oldest first
    check_delta(full, delta)     a delta update against the full playlist of the same moment
    check_renditions({name: t})  media playlists of one multivariant playlist, at one moment
    check_multivariant(text)     a multivariant playlist
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise

EPSILON = 0.0005  # half of the millisecond that playlists are written to
WALL_TOLERANCE = timedelta(
    milliseconds=60
)  # a server may slew its date-times to the encoder's clock

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s][^",]*)(?:,|$)')
_DECIMAL = re.compile(r"\d+(\.\d+)?")
_INTEGER = re.compile(r"\d{1,20}")

ONCE = {
    "#EXTM3U", "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-SKIP",
    "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-ENDLIST",
    "#EXT-X-PLAYLIST-TYPE", "#EXT-X-INDEPENDENT-SEGMENTS",
}  # fmt: skip
SEGMENT_TAGS = {
    "#EXTINF", "#EXT-X-DISCONTINUITY", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-GAP",
    "#EXT-X-PART", "#EXT-X-KEY", "#EXT-X-BYTERANGE", "#EXT-X-BITRATE",
}  # fmt: skip
MEDIA_TAGS = ONCE | SEGMENT_TAGS | {"#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION-REPORT"}
MULTIVARIANT_TAGS = {"#EXT-X-STREAM-INF", "#EXT-X-MEDIA", "#EXT-X-I-FRAME-STREAM-INF"}


@dataclass
class Part:
    uri: str
    duration: float
    independent: bool
    gap: bool


@dataclass
class Segment:
    """A whole segment, or the open one at the end (`uri` "")."""

    msn: int
    uri: str = ""
    duration: float = 0.0
    discontinuity: bool = False
    gap: bool = False
    map_uri: str = ""
    date_time: datetime | None = None
    parts: list[Part] = field(default_factory=list)

    @property
    def length(self) -> float:
        return self.duration if self.uri else sum(part.duration for part in self.parts)


@dataclass
class Playlist:
    """What a media playlist says; `findings` is what is wrong with how it says it."""

    version: int = 1
    target_duration: int = 0
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    part_target: float | None = None
    control: dict[str, str] = field(default_factory=dict)
    skipped: int | None = None
    segments: list[Segment] = field(default_factory=list)
    hints: list[dict[str, str]] = field(default_factory=list)
    reports: list[dict[str, str]] = field(default_factory=list)
    ended: bool = False
    tags: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def length(self) -> float:
        return sum(segment.length for segment in self.segments)

    def open_segment(self) -> Segment | None:
        last = self.segments[-1] if self.segments else None
        return last if last is not None and not last.uri else None


@lru_cache(maxsize=4096)  # the same lines stand in hundreds of playlists of a history
def _attributes(text: str) -> tuple[dict[str, str], str]:
    """The attributes of a list, which callers must not change, and what is wrong with it."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _ATTRIBUTE.match(text, position)
        if match is None:
            return found, f"4.2: malformed attribute list {text!r}"
        name, value = match.groups()
        if name in found:
            return found, f"4.2: attribute {name} occurs twice in {text!r}"
        found[name] = value.strip('"')
        position = match.end()
    return found, ""


class _Parser:
    def __init__(self, text: str) -> None:
        self.playlist = Playlist()
        self._text = text
        self._segment: Segment | None = None
        self._map = ""
        self._extinf = False

    def say(self, finding: str) -> None:
        self.playlist.findings.append(finding)

    def attributes(self, text: str) -> dict[str, str]:
        """An attribute list (4.2): quotes are taken off."""
        found, finding = _attributes(text)
        if finding:
            self.say(finding)
        return found

    def integer(self, text: str, what: str) -> int:
        if not _INTEGER.fullmatch(text):
            self.say(f"4.2: {what} is no decimal-integer: {text!r}")
            return 0
        return int(text)

    def decimal(self, text: str, what: str) -> float:
        if not _DECIMAL.fullmatch(text):
            self.say(f"4.2: {what} is no decimal-floating-point: {text!r}")
            return 0.0
        return float(text)

    def run(self) -> Playlist:
        text = self._text
        if not text.startswith("#EXTM3U\n"):
            self.say("4.4.1.1: EXTM3U must be the first line")
        if re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]", text):
            self.say("4.1: control character or byte order mark")
        if not text.endswith("\n"):
            self.say("4.1: the last line is not terminated")
        for line in text.splitlines():
            if line.startswith("#EXT"):
                self._tag(line)
            elif line and not line.startswith("#"):
                self._uri(line)
        self._finish()
        return self.playlist

    def _tag(self, line: str) -> None:
        name, _, value = line.partition(":")
        playlist = self.playlist
        if name in MULTIVARIANT_TAGS:
            self.say(f"4.4.6: {name} in a media playlist")
        elif name not in MEDIA_TAGS:
            self.say(f"unknown tag {name}")
        if name in ONCE and name in playlist.tags:
            self.say(f"4.4: {name} occurs twice")
        if name in ONCE - {"#EXT-X-ENDLIST"} and (playlist.segments or self._segment):
            self.say(f"4.4.3: {name} after the first segment")
        playlist.tags.append(name)
        if name in SEGMENT_TAGS:
            self._segment_tag(name, value)
        elif name == "#EXT-X-VERSION":
            playlist.version = self.integer(value, name)
        elif name == "#EXT-X-TARGETDURATION":
            playlist.target_duration = self.integer(value, name)
        elif name == "#EXT-X-MEDIA-SEQUENCE":
            playlist.media_sequence = self.integer(value, name)
        elif name == "#EXT-X-DISCONTINUITY-SEQUENCE":
            playlist.discontinuity_sequence = self.integer(value, name)
        elif name == "#EXT-X-SERVER-CONTROL":
            playlist.control = self.attributes(value)
        elif name == "#EXT-X-PART-INF":
            target = self.attributes(value).get("PART-TARGET", "")
            playlist.part_target = self.decimal(target, "PART-TARGET")
        elif name == "#EXT-X-SKIP":
            skipped = self.attributes(value).get("SKIPPED-SEGMENTS", "")
            playlist.skipped = self.integer(skipped, "SKIPPED-SEGMENTS")
        elif name == "#EXT-X-PRELOAD-HINT":
            playlist.hints.append(self.attributes(value))
        elif name == "#EXT-X-RENDITION-REPORT":
            playlist.reports.append(self.attributes(value))
        elif name == "#EXT-X-ENDLIST":
            playlist.ended = True

    def _current(self) -> Segment:
        if self._segment is None:
            first = self.playlist.media_sequence + (self.playlist.skipped or 0)
            self._segment = Segment(first + len(self.playlist.segments), map_uri=self._map)
        return self._segment

    def _segment_tag(self, name: str, value: str) -> None:
        segment = self._current()
        before_parts = name in ("#EXT-X-DISCONTINUITY", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME")
        if before_parts and segment.parts:
            self.say(f"4.4.4.9: {name} after the first part of segment {segment.msn}")
        if name == "#EXTINF":
            duration, comma, _ = value.partition(",")
            if not comma:
                self.say("4.4.4.1: EXTINF without a comma")
            segment.duration = self.decimal(duration, "EXTINF")
            self._extinf = True
        elif name == "#EXT-X-DISCONTINUITY":
            segment.discontinuity = True
        elif name == "#EXT-X-GAP":
            segment.gap = True
        elif name == "#EXT-X-MAP":
            self._map = segment.map_uri = self.attributes(value).get("URI", "")
            if not self._map:
                self.say("4.4.4.5: EXT-X-MAP without a URI")
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            self._date_time(segment, value)
        elif name == "#EXT-X-PART":
            self._part(segment, value)

    def _date_time(self, segment: Segment, value: str) -> None:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}(Z|[+-]\d\d:\d\d)", value):
            self.say(f"4.4.4.6: date-time without milliseconds or time zone: {value!r}")
            return
        segment.date_time = datetime.fromisoformat(value.replace("Z", "+00:00"))

    def _part(self, segment: Segment, value: str) -> None:
        found = self.attributes(value)
        for name in ("INDEPENDENT", "GAP"):
            if found.get(name, "YES") != "YES":
                self.say(f"4.4.4.9: {name}={found[name]}")
        if not found.get("URI"):
            self.say("4.4.4.9: EXT-X-PART without a URI")
        duration = self.decimal(found.get("DURATION", ""), "EXT-X-PART DURATION")
        segment.parts.append(
            Part(found.get("URI", ""), duration, "INDEPENDENT" in found, "GAP" in found)
        )

    def _uri(self, line: str) -> None:
        segment = self._current()
        if not self._extinf:
            self.say(f"4.4.4.1: segment {line!r} without EXTINF")
        segment.uri = line
        self.playlist.segments.append(segment)
        self._segment, self._extinf = None, False

    def _finish(self) -> None:
        if self._segment is None:
            return
        if self._extinf or not self._segment.parts:
            self.say("4.4.4: segment tags that no segment follows")
        self.playlist.segments.append(self._segment)


def parse_media(text: str) -> Playlist:
    """A media playlist; what is malformed is in its `findings`."""
    return _Parser(text).run()


def check_media(text: str) -> list[str]:
    """Everything that can be wrong with one playlist, seen alone."""
    return _check(parse_media(text))


def _check(playlist: Playlist) -> list[str]:
    say = playlist.findings.append
    if "#EXT-X-TARGETDURATION" not in playlist.tags:
        say("4.4.3.1: EXT-X-TARGETDURATION is required")
    needed = 9 if playlist.skipped is not None else 6 if "#EXT-X-MAP" in playlist.tags else 3
    if playlist.version < needed:
        say(f"8: version {playlist.version} where {needed} is needed")
    _check_control(playlist)
    _check_segments(playlist)
    _check_parts(playlist)
    _check_date_times(playlist)
    _check_tail(playlist)
    return playlist.findings


def _check_control(playlist: Playlist) -> None:
    say, control = playlist.findings.append, playlist.control
    target = playlist.target_duration
    has_parts = any(segment.parts for segment in playlist.segments)
    if has_parts and playlist.part_target is None:
        say("4.4.3.7: EXT-X-PART without EXT-X-PART-INF")
    if playlist.part_target is not None:
        if playlist.part_target <= 0 or playlist.part_target > target:
            say(f"4.4.3.7: part target {playlist.part_target} against target duration {target}")
        if "PART-HOLD-BACK" not in control:
            say("4.4.3.8: PART-HOLD-BACK is required with EXT-X-PART-INF")
        elif float(control["PART-HOLD-BACK"]) < 3 * playlist.part_target - EPSILON:
            say("(Apple) PART-HOLD-BACK is less than three times the part target")
        if control.get("CAN-BLOCK-RELOAD") != "YES":
            say("(Apple) CAN-BLOCK-RELOAD is required in low latency")
    if "HOLD-BACK" in control and float(control["HOLD-BACK"]) < 3 * target:
        say("4.4.3.8: HOLD-BACK is less than three target durations")
    if "CAN-SKIP-UNTIL" in control and float(control["CAN-SKIP-UNTIL"]) < 6 * target:
        say("4.4.3.8: CAN-SKIP-UNTIL is less than six target durations")
    if playlist.skipped is not None:
        if "CAN-SKIP-UNTIL" not in control:
            say("4.4.5.2: EXT-X-SKIP without CAN-SKIP-UNTIL")
        if playlist.skipped < 1:
            say("4.4.5.2: EXT-X-SKIP skips nothing")


def _check_segments(playlist: Playlist) -> None:
    say = playlist.findings.append
    if not any(segment.uri for segment in playlist.segments):
        say("no whole segment is listed")
    seen: set[str] = set()
    for segment in playlist.segments:
        uris = [segment.uri] if segment.uri else []
        uris += [part.uri for part in segment.parts]
        for uri in uris:
            if uri in seen:
                say(f"URI {uri} is listed twice")
            seen.add(uri)
        # 4.4.3.1: rounded to the nearest integer
        if segment.uri and int(segment.duration + 0.5) > playlist.target_duration:
            say(f"4.4.3.1: segment {segment.msn} lasts {segment.duration}")
        if segment.uri and segment.duration <= 0:
            say(f"4.4.4.1: segment {segment.msn} lasts {segment.duration}")
        if playlist.skipped is None and not segment.map_uri:
            say(f"4.4.4.5: segment {segment.msn} has no EXT-X-MAP")


def _check_parts(playlist: Playlist) -> None:
    say, target = playlist.findings.append, playlist.part_target or 0.0
    after = playlist.length
    for segment in playlist.segments:
        after -= segment.length
        if segment.parts and after > 3 * playlist.target_duration + EPSILON:
            say(f"6.2.2: parts of segment {segment.msn} are older than three target durations")
        if segment.uri and segment.parts:
            total = sum(part.duration for part in segment.parts)
            if abs(total - segment.duration) > EPSILON:
                say(f"segment {segment.msn} lasts {segment.duration}, its parts {total}")
        for index, part in enumerate(segment.parts):
            if part.duration > target + 1e-9:
                say(f"4.4.4.9: part {part.uri} lasts {part.duration}, the target is {target}")
            last = bool(segment.uri) and index == len(segment.parts) - 1
            following = segment.parts[index + 1 : index + 2]
            exempt = part.independent or part.gap or last or any(p.gap for p in following)
            # In the open segment the newest part may yet turn out to be the last one.
            exempt = exempt or (not segment.uri and not following)
            if not exempt and part.duration < 0.85 * target - 1e-9:
                say(f"4.4.4.9: part {part.uri} lasts {part.duration}, less than 85 % of {target}")


def _check_date_times(playlist: Playlist) -> None:
    say = playlist.findings.append
    if playlist.part_target is not None and playlist.segments:
        if not any(segment.date_time for segment in playlist.segments):
            say("(Apple) no EXT-X-PROGRAM-DATE-TIME in a low-latency playlist")
    for one, two in pairwise(playlist.segments):
        if one.date_time is None or two.date_time is None:
            continue
        if two.date_time < one.date_time:
            say(f"4.4.4.6: date-time of segment {two.msn} goes back")
        expected = one.date_time + timedelta(seconds=one.length)
        if not (two.discontinuity or one.gap or two.gap):
            if abs(two.date_time - expected) > WALL_TOLERANCE:
                say(f"4.4.4.6: segment {two.msn} starts {two.date_time}, expected {expected}")


def _check_tail(playlist: Playlist) -> None:
    say = playlist.findings.append
    listed = {part.uri for segment in playlist.segments for part in segment.parts}
    listed |= {segment.uri for segment in playlist.segments}
    kinds = [hint.get("TYPE", "") for hint in playlist.hints]
    if len(kinds) != len(set(kinds)):
        say("4.4.5.3: more than one EXT-X-PRELOAD-HINT of a type")
    for hint in playlist.hints:
        if hint.get("TYPE") not in ("PART", "MAP") or not hint.get("URI"):
            say(f"4.4.5.3: malformed hint {hint}")
        if hint.get("URI") in listed:
            say(f"4.4.5.3: {hint['URI']} is hinted and listed")
    if playlist.ended and playlist.hints:
        say("4.4.5.3: EXT-X-PRELOAD-HINT with EXT-X-ENDLIST")
    if playlist.ended and playlist.open_segment() is not None:
        say("EXT-X-ENDLIST with parts that belong to no segment")
    if playlist.part_target is not None and not playlist.ended and "PART" not in kinds:
        say("(Apple) a low-latency playlist must hint its next part")
    for report in playlist.reports:
        uri = report.get("URI", "")
        if not uri or uri.startswith("/") or "://" in uri:
            say(f"4.4.5.4: rendition report's URI must be relative: {uri!r}")
        for name in ("LAST-MSN", "LAST-PART"):
            if not _INTEGER.fullmatch(report.get(name, "")):
                say(f"4.4.5.4: rendition report of {uri} without {name}")


def check_history(texts: Sequence[str]) -> list[str]:
    """Every playlist of `texts` alone, and what a playlist may not do from one to the next (6.2.1,
    6.2.2): nothing that was listed changes, segments leave from the front only, no URI comes back.
    """
    findings: list[str] = []
    playlists = [parse_media(text) for text in texts]
    for index, playlist in enumerate(playlists):
        findings += [f"[{index}] {finding}" for finding in _check(playlist)]
    for index, (old, new) in enumerate(pairwise(playlists)):
        findings += [f"[{index}→{index + 1}] {finding}" for finding in _check_step(old, new)]
    return findings + _check_uris(playlists)


def _check_uris(playlists: Sequence[Playlist]) -> list[str]:
    places: dict[str, tuple[int, int]] = {}
    findings: list[str] = []
    for playlist in playlists:
        for segment in playlist.segments:
            named = [(segment.uri, -1)] if segment.uri else []
            named += [(part.uri, index) for index, part in enumerate(segment.parts)]
            for uri, index in named:
                place = (segment.msn, index)
                if places.setdefault(uri, place) != place:
                    findings.append(f"URI {uri} was {places[uri]} and is {place}")
    return findings


def _check_step(old: Playlist, new: Playlist) -> list[str]:
    findings: list[str] = []
    say = findings.append
    for name in ("version", "target_duration", "part_target", "control"):
        if getattr(old, name) != getattr(new, name):
            say(f"6.2.1: {name} changed from {getattr(old, name)} to {getattr(new, name)}")
    if old.ended and old != new:
        say("6.2.1: the playlist changed after EXT-X-ENDLIST")
    if new.media_sequence < old.media_sequence:
        say(f"6.2.2: media sequence went from {old.media_sequence} to {new.media_sequence}")
    gone = [segment for segment in old.segments if segment.msn < new.media_sequence]
    if any(not segment.uri for segment in gone):
        say("6.2.2: an open segment was removed")
    if gone and new.length < 3 * new.target_duration:
        say("6.2.2: removal left less than three target durations")
    left = sum(segment.discontinuity for segment in gone)
    if new.discontinuity_sequence != old.discontinuity_sequence + left:
        say(
            f"6.2.2: discontinuity sequence went from {old.discontinuity_sequence} to "
            f"{new.discontinuity_sequence} while {left} discontinuities were removed"
        )
    known = {segment.msn: segment for segment in new.segments}
    for segment in old.segments:
        if segment.msn >= new.media_sequence:
            _check_kept(segment, known.get(segment.msn), new, say)
    _check_hint(old, new, say)
    return findings


def _check_kept(
    old: Segment, new: Segment | None, playlist: Playlist, say: Callable[[str], None]
) -> None:
    if new is None:
        say(f"6.2.1: segment {old.msn} disappeared from the middle")
        return
    if old.uri and (old.uri, old.duration, old.gap) != (new.uri, new.duration, new.gap):
        say(f"6.2.1: segment {old.msn} changed: {old} → {new}")
    if (old.discontinuity, old.date_time) != (new.discontinuity, new.date_time):
        say(f"6.2.1: tags of segment {old.msn} changed: {old} → {new}")
    if old.map_uri != new.map_uri:
        say(f"6.2.1: segment {old.msn} changed its map from {old.map_uri} to {new.map_uri}")
    if new.parts:
        if new.parts[: len(old.parts)] != old.parts or (old.uri and new.parts != old.parts):
            say(f"6.2.1: parts of segment {old.msn} changed")
    elif old.parts:
        after = sum(s.length for s in playlist.segments if s.msn > old.msn)
        if after < 3 * playlist.target_duration - EPSILON:
            say(f"6.2.2: parts of segment {old.msn} left {after} s before the end")


def _check_hint(old: Playlist, new: Playlist, say: Callable[[str], None]) -> None:
    """4.4.5.3: what was hinted must be the next part that is listed."""
    hinted = [hint["URI"] for hint in old.hints if hint.get("TYPE") == "PART"]
    before = {part.uri for segment in old.segments for part in segment.parts}
    last = old.segments[-1].msn if old.segments else 0
    fresh = [
        part.uri
        for segment in new.segments
        if segment.msn >= last
        for part in segment.parts
        if part.uri not in before
    ]
    if hinted and fresh and fresh[0] != hinted[0]:
        say(f"4.4.5.3: {hinted[0]} was hinted, {fresh[0]} came")


def check_delta(full_text: str, delta_text: str) -> list[str]:
    """A delta update (6.2.5.1) must say the same as the full playlist and skip only what is older
    than the skip boundary.
    """
    full, delta = parse_media(full_text), parse_media(delta_text)
    findings = _check(delta)
    skipped = delta.skipped or 0
    if delta.skipped is None:
        findings.append("6.2.5.1: a delta update without EXT-X-SKIP")
    for name in ("media_sequence", "discontinuity_sequence", "target_duration", "part_target",
                 "control", "hints", "reports", "ended", "version"):  # fmt: skip
        if getattr(full, name) != getattr(delta, name):
            findings.append(f"6.2.5.1: {name} differs from the full playlist's")
    boundary = float(full.control.get("CAN-SKIP-UNTIL", "0"))
    after = full.length - sum(segment.length for segment in full.segments[:skipped])
    if skipped and after < boundary - EPSILON:
        findings.append(f"6.2.5.1: skips what is {after} s old, the boundary is {boundary}")
    rest = full.segments[skipped:]
    for expected, got in zip(rest, delta.segments, strict=False):
        got.map_uri = got.map_uri or expected.map_uri
        if expected != got:
            findings.append(f"6.2.5.1: segment {expected.msn} differs: {expected} → {got}")
    if len(rest) != len(delta.segments):
        findings.append(f"6.2.5.1: {len(delta.segments)} segments after the skip, not {len(rest)}")
    return findings


def check_renditions(texts: Mapping[str, str], *, tolerance_s: float = 0.2) -> list[str]:
    """Playlists of one multivariant playlist, taken at one moment (6.2.4): same target duration,
    and for equal media sequence numbers equal discontinuity numbers and matching times.
    """
    findings: list[str] = []
    seen: dict[int, tuple[str, int, datetime | None]] = {}
    targets = {parse_media(text).target_duration for text in texts.values()}
    if len(targets) > 1:
        findings.append(f"6.2.4: target durations differ: {sorted(targets)}")
    for name, text in texts.items():
        playlist = parse_media(text)
        number = playlist.discontinuity_sequence
        for segment in playlist.segments:
            number += segment.discontinuity
            other, other_number, wall = seen.setdefault(
                segment.msn, (name, number, segment.date_time)
            )
            if number != other_number:
                findings.append(
                    f"6.2.4: segment {segment.msn} has discontinuity number {number} in {name}, "
                    f"{other_number} in {other}"
                )
            if wall and segment.date_time:
                if abs((segment.date_time - wall).total_seconds()) > tolerance_s:
                    findings.append(
                        f"6.2.4: segment {segment.msn} of {name} is not when {other}'s is"
                    )
    return findings


def check_multivariant(text: str) -> list[str]:
    """Structure and attributes of a multivariant playlist (4.4.6), and that audio alone comes last."""
    parser = _Parser("")
    findings = parser.playlist.findings
    findings.clear()
    lines = text.splitlines()
    if not lines or lines[0] != "#EXTM3U":
        findings.append("4.4.1.1: EXTM3U must be the first line")
    uris: list[str] = []
    pending: dict[str, str] | None = None
    audio_only: list[bool] = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name in MEDIA_TAGS - ONCE or name in ("#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE"):
            findings.append(f"4.4.4: {name} in a multivariant playlist")
        if pending is not None and line.startswith("#"):
            findings.append("4.4.6.2: EXT-X-STREAM-INF without its URI line")
        if name == "#EXT-X-STREAM-INF":
            pending = parser.attributes(value)
            audio_only.append(_check_variant(pending, parser))
        elif line and not line.startswith("#"):
            if pending is None:
                findings.append(f"4.4.6.2: URI {line} without EXT-X-STREAM-INF")
            uris.append(line)
            pending = None
    if not uris:
        findings.append("4.4.6.2: no variant")
    if len(set(uris)) != len(uris):
        findings.append("4.4.6.2: a URI occurs twice")
    if audio_only != sorted(audio_only):
        findings.append("audio alone must come last")
    return findings


def _check_variant(variant: dict[str, str], parser: _Parser) -> bool:
    """Checks one EXT-X-STREAM-INF; whether it is audio alone."""
    bandwidth = parser.integer(variant.get("BANDWIDTH", ""), "BANDWIDTH")
    average = parser.integer(variant.get("AVERAGE-BANDWIDTH", "0"), "AVERAGE-BANDWIDTH")
    if not 0 < average <= bandwidth:
        parser.say(f"4.4.6.2: average bandwidth {average} of {bandwidth}")
    codecs = variant.get("CODECS", "")
    if not codecs:
        parser.say("(Apple) CODECS is required")
    for codec in codecs.split(","):
        if not re.fullmatch(r"(avc1\.[0-9a-f]{6}|mp4a\.40\.\d+|hvc1(\.\w+)+|av01(\.\w+)+)", codec):
            parser.say(f"RFC 6381: {codec!r}")
    picture = any(codec[:4] in ("avc1", "hvc1", "av01") for codec in codecs.split(","))
    if picture != ("RESOLUTION" in variant):
        parser.say("(Apple) RESOLUTION is required with, and only with, video")
    if "RESOLUTION" in variant and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", variant["RESOLUTION"]):
        parser.say(f"4.2: RESOLUTION={variant['RESOLUTION']}")
    if "FRAME-RATE" in variant and not re.fullmatch(r"\d+\.\d{3}", variant["FRAME-RATE"]):
        parser.say(f"4.4.6.2: FRAME-RATE={variant['FRAME-RATE']}")
    return not picture
