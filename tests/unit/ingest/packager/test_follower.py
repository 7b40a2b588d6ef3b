"""Rungs cut where the source cuts, wait for it, and number their segments alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests import playlist_validator
from tests.packager_kit import Session, Synthetic, avc_config, picture, read_samples

VIDEO = 1
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)


def with_rung() -> Session:
    session = Session()
    session.stream.add_rendition("480p")
    return session


def merged(
    source: Iterator[tuple[int, bytes]], rung: Iterator[tuple[int, bytes]], late_ms: int
) -> Iterator[tuple[int, str, bytes]]:
    """Tags of both in order of arrival, the rung's `late_ms` after their time."""
    first = ((time, "source", data) for time, data in source)
    second = ((time + late_ms, "480p", data) for time, data in rung)
    return iter(sorted(itertools.chain(first, second), key=lambda item: item[0]))


def run(session: Session, tags: Iterator[tuple[int, str, bytes]]) -> None:
    begin = session.now
    for time, name, data in tags:
        session.now = max(session.now, begin + timedelta(milliseconds=time))
        session.feed(data, name)


def boundaries(session: Session, name: str) -> dict[int, int]:
    """Segment number → presentation time of its first picture, ms."""
    found = {}
    for segment in session[name].segments:
        files = session[name].files
        samples = read_samples(files[segment.init_name], segment.data)[VIDEO]
        found[segment.msn] = round(samples[0].pts * 1000)
    return found


@pytest.mark.parametrize("late_ms", [-150, 0, 120, 900])
def test_a_rung_has_the_sources_segments(late_ms: int) -> None:
    session = with_rung()
    session.feed(Synthetic().prologue())
    session.feed(Synthetic().prologue(), "480p")
    run(session, merged(Synthetic().tags(20), Synthetic().tags(20), late_ms))
    session.end()
    session.check()
    assert boundaries(session, "480p") == boundaries(session, "source")
    assert [s.data for s in session["480p"].samples()[VIDEO]] == [picture(n) for n in range(600)]


def test_a_rung_of_half_the_frame_rate() -> None:
    session = with_rung()
    session.feed(Synthetic(rate=60, gop=60).prologue())
    session.feed(Synthetic().prologue(), "480p")
    half = Synthetic(rate=30, gop=30)
    run(session, merged(Synthetic(rate=60, gop=60).tags(20), half.tags(20), 100))
    session.end()
    session.check()
    assert boundaries(session, "480p") == boundaries(session, "source")


def test_a_rung_follows_a_source_of_long_gops() -> None:
    session = with_rung()
    session.feed(Synthetic().prologue())
    session.feed(Synthetic().prologue(), "480p")
    run(session, merged(Synthetic(gop=450).tags(40), Synthetic(gop=450).tags(40), 100))
    session.end()
    session.check()
    assert boundaries(session, "480p") == boundaries(session, "source")


def test_a_rung_that_starts_late_has_the_sources_numbers() -> None:
    session = with_rung()
    session.feed(Synthetic().prologue())
    session.feed(Synthetic().prologue(), "480p")
    rung = ((t, d) for t, d in Synthetic().tags(20) if t >= 7000)
    run(session, merged(Synthetic().tags(20), rung, 100))
    assert session.stream.ready
    session.end()
    session.check()
    source, late = boundaries(session, "source"), boundaries(session, "480p")
    assert {msn: source[msn] for msn in late} == late
    assert min(late) > 1


def test_a_rung_that_starts_again_lists_what_it_missed_as_gaps() -> None:
    session = with_rung()
    session.feed(Synthetic().prologue())
    session.feed(Synthetic().prologue(), "480p")
    tags = list(merged(Synthetic().tags(30), Synthetic().tags(30), 100))
    run(session, (tag for tag in tags if tag[0] < 8_500))
    session.cut("480p")
    run(session, (tag for tag in tags if 8_500 <= tag[0] < 13_200 and tag[1] == "source"))
    session.feed(Synthetic().prologue(), "480p")
    run(session, (tag for tag in tags if tag[0] >= 13_200))
    session.end()
    session.check()
    playlist = playlist_validator.parse_media(session["480p"].playlists[-1].text)
    gaps = [segment.msn for segment in playlist.segments if segment.gap]
    assert gaps
    numbers = [segment.msn for segment in playlist.segments]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    source, rung = boundaries(session, "source"), boundaries(session, "480p")
    assert {msn: source[msn] for msn in rung} == rung
    assert not set(gaps) & set(rung)


def test_a_reconnect_is_the_same_discontinuity_in_every_rendition() -> None:
    session = with_rung()
    for turn in range(3):
        session.feed(Synthetic().prologue())
        session.feed(Synthetic().prologue(), "480p")
        run(session, merged(Synthetic().tags(7), Synthetic().tags(7), 250))
        if turn < 2:
            session.cut()
    session.end()
    session.check()
    marks = {
        name: [s.msn for s in session[name].segments if s.discontinuity]
        for name in ("source", "480p", "audio")
    }
    assert marks["source"] == marks["480p"] == marks["audio"]
    assert len(marks["source"]) == 2


def test_a_new_source_format_is_a_discontinuity_of_the_rung_too() -> None:
    other = bytes.fromhex(
        "0142c01effe1001a6742c01ed900a02ff970110000030001000003003c8f162e4801000468cb83cb20"
    )
    session = with_rung()
    session.feed(Synthetic().prologue())
    session.feed(Synthetic().prologue(), "480p")
    second = Synthetic(start=6000, first_picture=180)
    source = [*Synthetic().tags(6), (6000, avc_config(other, 6000))]
    source += [(t + 6000, d) for t, d in second.tags(10)]
    rung = [*Synthetic().tags(6), *((t + 6000, d) for t, d in second.tags(10))]
    run(session, merged(iter(source), iter(rung), 200))
    session.end()
    session.check()
    assert boundaries(session, "480p") == boundaries(session, "source")
    assert sum(s.discontinuity for s in session["480p"].segments) == 1


def test_a_rung_that_ends_says_so_and_leaves_the_multivariant() -> None:
    session = with_rung()
    session.feed(Synthetic().prologue())
    session.feed(Synthetic().prologue(), "480p")
    for index, (_, name, data) in enumerate(
        merged(Synthetic().tags(12), Synthetic().tags(12), 100)
    ):
        if index == 900:
            assert "480p" in (session.stream.multivariant() or "")
            session.keep(session.stream.end_rendition("480p", session.now))
        session.feed(data, name)
    assert "480p" not in (session.stream.multivariant() or "")
    assert session["480p"].playlists[-1].ended
    session.end()
    session.check()


@given(
    st.sets(st.integers(0, 299), max_size=60),
    st.sets(st.integers(0, 299), max_size=60),
    st.integers(-400, 1500),
)
@settings(max_examples=15, deadline=None, phases=QUICK)
def test_dropped_frames_keep_renditions_aligned(
    lost: set[int], also_lost: set[int], late_ms: int
) -> None:
    session = with_rung()
    session.feed(Synthetic().prologue())
    session.feed(Synthetic().prologue(), "480p")
    source = Synthetic(dropped=frozenset(n for n in lost if n % 30))
    rung = Synthetic(dropped=frozenset(lost | also_lost))
    run(session, merged(source.tags(10), rung.tags(10), late_ms))
    session.end()
    session.check()
    where = boundaries(session, "source")
    for msn, time in boundaries(session, "480p").items():
        assert 0 <= time - where[msn] < 2000
