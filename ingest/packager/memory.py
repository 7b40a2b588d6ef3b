"""What a session has to remember to go on in another process: numbers, names and listed segments.

An entry is written whenever something is announced, before the announcement, so it holds no
media: parts of the open segment are named, and `restore` reads them back to close that segment. Input
state is left out on purpose: a new process gets a new input, which begins a new timeline.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from .events import Event, PackagerConfig
from .follower import Follower
from .lead import Lead
from .playlist import MediaPlaylist, Segment, Targets
from .rendition import Rendition
from .schedule import Boundary
from .stream import LiveStream

Json = dict[str, Any]

VERSION = 1
#: Boundaries that are kept: as many as a rung could still have missed.
BOUNDARIES = 8


class Forgotten(ValueError):
    """What was written down is of no use: another version, or files it names are gone."""


class Entry(NamedTuple):
    """What to write down: `whole` begins the notes anew, anything else is added to what is there."""

    whole: bool
    text: str


class _Kept(NamedTuple):
    """Text as it was written when `mark` stood."""

    mark: tuple[object, ...]
    text: str


class Notebook:
    """Writes down a stream, ten times a second: all of it with each segment, between them only what
    a part changes.
    """

    def __init__(self, live: LiveStream) -> None:
        self._live = live
        self._written: object = None
        self._fast: dict[str, _Kept] = {}
        self._slow: dict[str, _Kept] = {}
        self._segments: dict[str, dict[int, tuple[int, str]]] = {}

    def entry(self, *, whole: bool = False) -> Entry | None:
        """The next entry, JSON for `restore` and `updated`; None before anything was published."""
        lead = self._live._lead
        if lead is None or lead._targets is None or not lead.rendition.listed:
            return None
        renditions = self._live._renditions.values()
        changed = [each.name for each in renditions if self._note(each)]
        mark = (lead.epoch, lead.schedule.newest_msn, *(_slow_mark(each) for each in renditions))
        if mark == self._written and not whole:
            return Entry(False, f"[{','.join(f'{{{self._fast[name].text}}}' for name in changed)}]")
        self._written = mark
        for rendition in renditions:
            self._note_slow(rendition)
        joined = ",".join(
            f"{{{self._fast[each.name].text},{self._slow[each.name].text}}}" for each in renditions
        )
        head = _dumps(_session(self._live, lead))[:-1]
        return Entry(True, f'{head},"renditions":[{joined}]}}')

    def _note(self, rendition: Rendition) -> bool:
        """Write anew what a part changes; whether it did."""
        mark = _fast_mark(rendition)
        known = self._fast.get(rendition.name)
        if known is not None and known.mark == mark:
            return False
        self._fast[rendition.name] = _Kept(mark, _fast(self._live, rendition))
        return True

    def _note_slow(self, rendition: Rendition) -> None:
        mark = _slow_mark(rendition)
        known = self._slow.get(rendition.name)
        if known is None or known.mark != mark:
            playlist = rendition._playlist
            listed = self._listed(rendition.name, playlist) if playlist else ""
            text = f'{_dumps(_slow(rendition, playlist))[1:-1]},"segments":[{listed}]'
            self._slow[rendition.name] = _Kept(mark, text)

    def _listed(self, name: str, playlist: MediaPlaylist) -> str:
        known = self._segments.get(name, {})
        kept: dict[int, tuple[int, str]] = {}
        for segment in playlist._segments:
            # A closed segment changes once more: its list of parts is forgotten.
            text = known.get(segment.msn)
            if text is None or text[0] != len(segment.part_lines):
                text = (len(segment.part_lines), _dumps(_segment(segment)))
            kept[segment.msn] = text
        self._segments[name] = kept
        return ",".join(text for _, text in kept.values())


_dumps = json.JSONEncoder(separators=(",", ":")).encode


def updated(state: Json, entry: list[Json]) -> Json:
    """`state` as the next entry, which was not whole, leaves it."""
    news = {rendition["name"]: rendition for rendition in entry}
    renditions = [{**each, **news.get(each["name"], {})} for each in state["renditions"]]
    return {**state, "renditions": renditions}


def _fast_mark(rendition: Rendition) -> tuple[object, ...]:
    """Changes whenever something of the rendition does that short entries hold."""
    playlist = rendition._playlist
    return (
        rendition._number,
        rendition._segment,
        playlist._edge_us if playlist else 0,
        playlist.last_part if playlist else None,
        playlist is None or playlist._open is None,
    )


def _slow_mark(rendition: Rendition) -> tuple[object, ...]:
    """Changes whenever something of the rendition does that short entries leave out."""
    playlist = rendition._playlist
    return (
        rendition.name,
        rendition.complete_msn,
        rendition._init_count,
        rendition.ended,
        len(rendition._lingering),
        len(playlist._with_parts) if playlist else 0,
        playlist._first_msn if playlist else 0,
    )


def _session(live: LiveStream, lead: Lead) -> Json:
    schedule = lead.schedule
    return {
        "version": VERSION,
        "source": live._source,
        "sibling": live._sibling.rendition.name if live._sibling else None,
        "targets": list(lead._targets or ()),
        "epoch": lead.epoch,
        "wall_end": schedule._wall_end.isoformat() if schedule._wall_end else None,
        "boundaries": [_boundary(b) for b in list(schedule._boundaries)[-BOUNDARIES:]],
        "durations": list(schedule._durations.items())[-BOUNDARIES:],
    }


def restore(
    config: PackagerConfig, session: str, state: Json, read: Callable[[str, str], bytes]
) -> tuple[LiveStream, list[Event]]:
    """The stream as it was, its open segments closed, and the events that say so.

    `read(rendition, file name)` gives back a published file. Raises Forgotten.
    """
    try:
        return _restore(config, session, state, read)
    except (KeyError, TypeError, IndexError, AttributeError, OSError) as error:
        raise Forgotten(repr(error)) from error


def _restore(
    config: PackagerConfig, session: str, state: Json, read: Callable[[str, str], bytes]
) -> tuple[LiveStream, list[Event]]:
    if state["version"] != VERSION:
        raise Forgotten("another version")
    live = LiveStream(config, session)
    live.add_rendition(state["source"], audio_only_sibling=state["sibling"])
    for kept in state["renditions"]:
        if kept["name"] not in live._renditions:
            live.add_rendition(kept["name"])
    lead = live._the_lead
    targets = Targets(*state["targets"])
    _recall_lead(lead, state, targets)
    followers = [*live._followers.values(), *([live._sibling] if live._sibling else [])]
    closed = {follower.rendition.name: follower for follower in followers}
    for kept in state["renditions"]:
        rendition = live._renditions[kept["name"]]
        _recall(rendition, kept, config, targets, lead, read)
        if kept["name"] in closed:
            _recall_follower(closed[kept["name"]], kept)
        # Everything is announced again: an edge may have lost what it knew.
        rendition.dirty = True
    _settle_barren(live, lead, targets)
    ended = [r for r in live._renditions.values() if r.ended]
    live._cut_all()
    for rendition in ended:
        rendition.ended = True
    return live, live._publish()


def _settle_barren(live: LiveStream, lead: Lead, targets: Targets) -> None:
    """Segments that were begun and nothing of them published: their samples died with the process.

    A rendition that follows lists the number as a hole when it goes on. The source's own never was,
    unless sound of it was out already: then it is a hole of that length.
    """
    source = lead.rendition
    opened = source._segment
    heard = 0
    for rendition in live._renditions.values():
        playlist = rendition._playlist
        if rendition._segment is None or playlist is None or playlist._open is None:
            continue
        if not rendition._parts:
            rendition._segment = playlist._open = None
        elif opened is not None and rendition.open_msn == opened[0].msn:
            heard = max(heard, playlist._open.duration_us)
    if opened is None or source._parts:
        return
    if heard:
        source.add_gap(opened[0], heard, targets)
        lead.schedule._durations[opened[0].msn] = heard
    else:
        lead.schedule._boundaries.pop()


def _boundary(boundary: Boundary) -> list[Any]:
    return [
        boundary.msn,
        boundary.epoch,
        boundary.time,
        boundary.discontinuity,
        boundary.discontinuities,
        boundary.wall.isoformat(),
    ]


def _boundary_of(kept: list[Any]) -> Boundary:
    msn, epoch, time, discontinuity, discontinuities, wall = kept
    return Boundary(msn, epoch, time, discontinuity, discontinuities, datetime.fromisoformat(wall))


def _recall_lead(lead: Lead, state: Json, targets: Targets) -> None:
    lead._targets = targets
    lead.epoch = state["epoch"]
    schedule = lead.schedule
    if state["wall_end"] is not None:
        schedule._wall_end = datetime.fromisoformat(state["wall_end"])
    schedule._boundaries.extend(_boundary_of(kept) for kept in state["boundaries"])
    schedule._durations.update((msn, duration) for msn, duration in state["durations"])
    schedule._wall = schedule._boundaries[-1].wall


def _fast(live: LiveStream, rendition: Rendition) -> str:
    """What a part changes, as the inside of a JSON object; put together by hand for its frequency."""
    playlist = rendition._playlist
    follower: Follower | None = live._followers.get(rendition.name)
    if live._sibling is not None and live._sibling.rendition is rendition:
        follower = live._sibling
    opened, listed, edge_us, last_part = rendition._segment, None, 0, "null"
    if playlist is not None:
        listed, edge_us = playlist._open, playlist._edge_us
        last_part = f"[{playlist.last_part[0]},{playlist.last_part[1]}]"
    begun = (
        f"[{_dumps(_boundary(opened[0]))},{_dumps(opened[1].isoformat())}]" if opened else "null"
    )
    return (
        f'"name":{_dumps(rendition.name)},"number":{rendition._number},'
        f'"closed_msn":{follower._closed_msn if follower else 0},"open":{begun},'
        f'"edge_us":{edge_us},"last_part":{last_part},'
        f'"listed":{_dumps(_segment(listed)) if listed else "null"}'
    )


def _slow(rendition: Rendition, playlist: MediaPlaylist | None) -> Json:
    return {
        "init_name": rendition._init_name,
        "init_count": rendition._init_count,
        "old_inits": rendition._old_inits,
        "lingering": rendition._lingering,
        "measured": [rendition._media_bits, rendition._media_us, rendition._peak],
        "ended": rendition.ended,
        "playlist": _playlist(playlist) if playlist else None,
    }


def _recall(
    rendition: Rendition,
    kept: Json,
    config: PackagerConfig,
    targets: Targets,
    lead: Lead,
    read: Callable[[str, str], bytes],
) -> None:
    name = rendition.name
    rendition._number = kept["number"]
    rendition._init_name = kept["init_name"]
    rendition._init_count = kept["init_count"]
    rendition._old_inits = kept["old_inits"]
    rendition._lingering = [(due, tuple(names)) for due, names in kept["lingering"]]
    rendition._media_bits, rendition._media_us, rendition._peak = kept["measured"]
    rendition.ended = kept["ended"]
    if kept["init_name"]:
        rendition._init = read(name, kept["init_name"])
    playlist = kept["playlist"]
    if playlist is None:
        return
    rendition._targets = targets
    rendition._playlist = _playlist_of(kept, config, targets)
    if kept["open"] is not None:
        boundary, wall = kept["open"]
        rendition._segment = (_boundary_of(boundary), datetime.fromisoformat(wall))
        named = kept["listed"]["part_names"] if kept["listed"] else []
        rendition._parts = [read(name, part) for part in named]


def _recall_follower(follower: Follower, kept: Json) -> None:
    follower._closed_msn = kept["closed_msn"]


_SEGMENT = (
    "msn", "init_name", "discontinuity", "head", "start_us", "duration_us", "name", "tail",
    "part_lines", "part_names",
)  # fmt: skip


def _segment(segment: Segment) -> Json:
    return {field: getattr(segment, field) for field in _SEGMENT}


def _playlist(playlist: MediaPlaylist) -> Json:
    return {
        "discontinuity_sequence": playlist._discontinuity_sequence,
        "first_msn": playlist._first_msn,
        "complete_msn": playlist.complete_msn,
        "with_parts": [segment.msn for segment in playlist._with_parts],
    }


def _playlist_of(kept: Json, config: PackagerConfig, targets: Targets) -> MediaPlaylist:
    slow = kept["playlist"]
    playlist = MediaPlaylist(
        targets,
        round(config.window_s * 1_000_000),
        slow["first_msn"],
        slow["discontinuity_sequence"],
    )
    playlist._edge_us = kept["edge_us"]
    playlist.complete_msn = slow["complete_msn"]
    playlist.last_part = tuple(kept["last_part"])
    playlist._segments.extend(Segment(**segment) for segment in kept["segments"])
    playlist._with_parts.extend(
        segment for segment in playlist._segments if segment.msn in slow["with_parts"]
    )
    if kept["listed"] is not None:
        playlist._open = Segment(**kept["listed"])
    return playlist
