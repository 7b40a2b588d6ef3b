"""Playlists that grow with a broadcast say the same as those of the whole."""

from __future__ import annotations

import gzip
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from recorder import timeline
from recorder.live_timeline import LiveTimeline
from recorder.timeline import Entry
from tests.playlist_validator import check_media
from tests.unit.recorder.test_timeline import run, with_a_reconnect


def text_of(line: LiveTimeline, rendition: str) -> str:
    return gzip.decompress(line.playlists[rendition].whole()).decode()


def at_once(renditions: dict[str, list[Entry]], rendition: str) -> str:
    entries = timeline.aligned(renditions, ended=False).renditions[rendition]
    return timeline.media_playlist(
        entries, target_s=4, ended=False, address=timeline.own_address(rendition)
    )


def test_segment_by_segment() -> None:
    line = LiveTimeline(4)
    before = ""
    for entry in with_a_reconnect():
        line.extend({"source": [entry], "480p": [entry]})
        text = text_of(line, "source")
        assert check_media(text) == []
        # An EVENT playlist only ever grows.
        assert text.startswith(before)
        before = text
    assert before == at_once({"source": with_a_reconnect()}, "source")
    assert line.playlists["source"].bandwidth == (4000, 4000)


def test_the_delta_is_small_after_eight_hours() -> None:
    line = LiveTimeline(4)
    line.extend({"source": run(14_400)})
    delta = line.playlists["source"].delta()
    assert len(gzip.decompress(delta)) < 20 * 1024
    assert b"#EXT-X-SKIP:SKIPPED-SEGMENTS=" in gzip.decompress(delta)


def test_a_rendition_that_is_ahead_waits_for_the_source() -> None:
    line = LiveTimeline(4)
    line.extend({"480p": run(3)})
    assert "480p" not in line.playlists
    line.extend({"source": run(2)})
    assert [entry.msn for entry in line.playlists["480p"].entries] == [1, 2]
    line.extend({"source": run(4)[2:]})
    assert [entry.msn for entry in line.playlists["480p"].entries] == [1, 2, 3]


@given(
    st.sets(st.integers(1, 12), min_size=1),
    st.sets(st.integers(1, 12), min_size=1),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6),
)
def test_in_whatever_steps(source: set[int], rung: set[int], steps: list[tuple[int, int]]) -> None:
    """However segments come in, and whatever is missing, the end is that of all at once."""
    everything = {entry.msn: entry for entry in run(12)}
    renditions = {
        "source": [everything[msn] for msn in sorted(source)],
        "480p": [everything[msn] for msn in sorted(rung)],
    }
    line = LiveTimeline(4)
    given_so_far: dict[str, int] = defaultdict(int)
    for upto in [*sorted(steps), (12, 12)]:
        fresh = {}
        for name, last in zip(("source", "480p"), upto, strict=True):
            known = given_so_far[name]
            fresh[name] = [entry for entry in renditions[name] if known < entry.msn <= last]
            given_so_far[name] = max(known, last)
        line.extend(fresh)
    whole = timeline.aligned(renditions, ended=False).renditions
    assert line.playlists["source"].entries == list(whole["source"])
    last = whole["source"][-1].msn
    within = [entry for entry in whole["480p"] if entry.msn <= last]
    found = line.playlists["480p"].entries if "480p" in line.playlists else []
    assert [(entry.msn, entry.gap, entry.start_s) for entry in found] == [
        (entry.msn, entry.gap, entry.start_s) for entry in within
    ]
