"""The pure core of videos: places in time, what is kept, playlists."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import timeline
from recorder.timeline import Entry, Rendition, Span, Timeline
from tests.playlist_validator import check_media, check_multivariant, parse_media

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def run(
    count: int, *, first: int = 1, start_s: float = 0.0, wall: datetime = NOON, cut: bool = False
) -> list[Entry]:
    """So many segments of two seconds."""
    return [
        Entry(
            first + index,
            start_s + 2.0 * index,
            2.0,
            1000,
            "init-0.mp4",
            cut and index == 0,
            wall + timedelta(seconds=2 * index),
        )
        for index in range(count)
    ]


def with_a_reconnect() -> list[Entry]:
    """Ten seconds, half a minute away, ten seconds."""
    back = NOON + timedelta(seconds=40)
    return [*run(5), *run(5, first=6, start_s=10.0, wall=back, cut=True)]


# Places in time


def test_spans_leave_the_gap_of_a_reconnect_out() -> None:
    line = Timeline({"source": tuple(with_a_reconnect())})
    assert line.spans() == (
        Span(0.0, NOON, 10.0),
        Span(10.0, NOON + timedelta(seconds=40), 10.0),
    )
    assert line.duration_s == 20.0


def test_a_wavering_clock_makes_no_gap() -> None:
    entries = [
        entry._replace(pdt=entry.pdt + timedelta(milliseconds=200 * (entry.msn % 2)))
        for entry in run(20)
    ]
    assert len(list(timeline.spans(entries))) == 1


@pytest.mark.parametrize(
    ("wall_s", "media_s"),
    [(-5, 0.0), (0, 0.0), (7.5, 7.5), (10, 10.0), (25, 10.0), (40, 10.0), (43, 13.0), (900, 20.0)],
)
def test_media_time_of_the_clock(wall_s: float, media_s: float) -> None:
    line = Timeline({"source": tuple(with_a_reconnect())})
    assert line.at(NOON + timedelta(seconds=wall_s)) == media_s


@pytest.mark.parametrize(("media_s", "wall_s"), [(0, 0), (7.5, 7.5), (12, 42), (19.5, 49.5)])
def test_the_clock_at_a_media_time(media_s: float, wall_s: float) -> None:
    line = Timeline({"source": tuple(with_a_reconnect())})
    assert line.wall(media_s) == NOON + timedelta(seconds=wall_s)
    assert Timeline({}).wall(0) is None


@given(st.floats(0, 19.99))
def test_there_and_back_in_time(at_s: float) -> None:
    line = Timeline({"source": tuple(with_a_reconnect())})
    wall = line.wall(at_s)
    assert wall is not None
    assert line.at(wall) == pytest.approx(at_s, abs=1e-5)


@pytest.mark.parametrize(
    ("start_s", "end_s", "numbers"),
    [(0, 2, [1]), (1.9, 2.1, [1, 2]), (2, 4, [2]), (0, 99, list(range(1, 6))), (10, 12, [])],
)
def test_between(start_s: float, end_s: float, numbers: list[int]) -> None:
    found = Timeline({"source": tuple(run(5))}).between(start_s, end_s)
    assert [entry.msn for entry in found.renditions["source"]] == numbers


# Renditions beside each other


def test_a_rung_that_starts_late_and_fails_for_a_while() -> None:
    main = with_a_reconnect()
    rung = [
        entry._replace(start_s=2.0 * index, size=10, discontinuity=False)
        for index, entry in enumerate([*main[2:4], *main[6:9]])
    ]
    line = timeline.aligned({"source": main, "480p": rung}, ended=False)
    beside = line.renditions["480p"]
    assert [entry.msn for entry in beside] == list(range(1, 10))
    assert [entry.msn for entry in beside if entry.gap] == [1, 2, 5, 6]
    assert [entry.start_s for entry in beside] == [entry.start_s for entry in main[:9]]
    # The reconnect fell into the gap, and still counts for it.
    assert [entry.msn for entry in beside if entry.discontinuity] == [6]
    # What it has not at the end of a finished video will never come.
    ended = timeline.aligned({"source": main, "480p": rung}, ended=True).renditions["480p"]
    assert ended[-1].gap and len(ended) == len(main)


def test_lost_segments_of_the_source_are_a_gap_of_their_length() -> None:
    entries = run(10)
    line = timeline.aligned({"source": [*entries[:3], *entries[5:]]}, ended=True)
    main = line.renditions["source"]
    assert [(entry.msn, entry.gap) for entry in main[2:6]] == [
        (3, False), (4, True), (5, True), (6, False),
    ]  # fmt: skip
    assert [entry.start_s for entry in main] == [entry.start_s for entry in entries]
    assert len(line.spans()) == 1


def test_a_number_that_was_never_anything_is_no_gap() -> None:
    entries = [*run(3), *run(3, first=5, start_s=6.0, wall=NOON + timedelta(seconds=6))]
    main = timeline.aligned({"source": entries}, ended=True).main
    assert not any(entry.gap for entry in main)


# Kept


entries_of = st.lists(
    st.builds(
        Entry,
        st.integers(1, 2**31),
        st.integers(0, 10**12).map(lambda us: us / 1e6),
        st.integers(0, 10**8).map(lambda us: us / 1e6),
        st.integers(0, 2**40),
        st.sampled_from(["init-0.mp4", "init-1.mp4", "videos/7/source/init-0.mp4"]),
        st.booleans(),
        st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
        st.none() | st.just("clips/x/source/0.m4s"),
        st.booleans(),
    ),
    max_size=20,
).map(tuple)


@given(st.dictionaries(st.text(max_size=8), entries_of, max_size=4))
def test_kept_and_read(renditions: dict[str, tuple[Entry, ...]]) -> None:
    line = Timeline(renditions)
    assert Timeline.decode(line.encode()) == line


@given(st.binary(max_size=60))
def test_garbage_is_no_timeline(data: bytes) -> None:
    for text in (data, zlib.compress(data)):
        with pytest.raises(ValueError):
            Timeline.decode(text)


def test_eight_hours_are_small() -> None:
    entries = tuple(run(14_400))
    data = Timeline({"source": entries, "480p": entries, "audio": entries}).encode()
    assert len(data) < 1_000_000


# Playlists


def playlist(entries: list[Entry], *, ended: bool, skip: bool = False) -> str:
    return timeline.media_playlist(
        entries, target_s=4, ended=ended, skip=skip, address=timeline.own_address("source")
    )


def test_a_finished_video() -> None:
    text = playlist(with_a_reconnect(), ended=True)
    assert check_media(text) == []
    found = parse_media(text)
    assert found.ended and [segment.uri for segment in found.segments] == [
        f"source/{msn}.m4s" for msn in range(1, 11)
    ]
    assert [segment.msn for segment in found.segments if segment.discontinuity] == [6]
    # A player that begins behind a discontinuity needs the initialization section named again.
    assert text.count('#EXT-X-MAP:URI="source/init-0.mp4"') == 2


def test_a_running_one_grows_and_its_delta_says_the_same() -> None:
    entries = run(14_400)
    full, delta = (playlist(entries, ended=False, skip=skip) for skip in (False, True))
    assert "#EXT-X-ENDLIST" not in full and "#EXT-X-PLAYLIST-TYPE:EVENT\n" in full
    assert len(delta) < 20 * 1024 < len(full)
    skipped = int(delta.split("SKIPPED-SEGMENTS=")[1].split()[0])
    left = delta.split(f"SKIPPED-SEGMENTS={skipped}\n")[1]
    assert full.endswith(left)
    assert full.count("#EXTINF") == skipped + left.count("#EXTINF")
    # 6.2.5.1: what is skipped is older than the boundary.
    assert left.count("#EXTINF") * 2 >= timeline.SKIP_TARGETS * 4
    # Nothing to skip yet: the whole playlist.
    short = run(5)
    assert playlist(short, ended=False, skip=True) == playlist(short, ended=False)


def test_gaps_are_said() -> None:
    main = run(6)
    line = timeline.aligned({"source": main, "480p": main[2:]}, ended=True)
    text = timeline.media_playlist(
        line.renditions["480p"], target_s=4, ended=True, address=timeline.own_address("480p")
    )
    assert text.count("#EXT-X-GAP\n") == 2
    assert check_media(text) == []


def test_objects_of_others_by_their_key() -> None:
    entries = [
        run(1)[0]._replace(key="videos/9/source/4.m4s", init="videos/9/source/init-0.mp4"),
    ]
    text = timeline.media_playlist(
        entries, target_s=4, ended=True, address=lambda name: f"o/signed/{name}"
    )
    assert "\no/signed/videos/9/source/4.m4s\n" in text
    assert '#EXT-X-MAP:URI="o/signed/videos/9/source/init-0.mp4"' in text


def test_bandwidth() -> None:
    entries = [
        entry._replace(size=size) for entry, size in zip(run(3), (500, 1000, 0), strict=True)
    ]
    entries[2] = entries[2]._replace(gap=True)
    # A last scrap of a few frames, one of them a keyframe, is no peak.
    scrap = entries[1]._replace(msn=9, duration_s=0.1, size=1000)
    assert timeline.bandwidth([*entries, scrap]) == (4879, 4879)
    assert timeline.bandwidth(entries) == (4000, 3000)
    assert timeline.bandwidth([]) == (0, 0)


def test_target_duration() -> None:
    assert timeline.target_duration([]) == 4
    assert timeline.target_duration([run(1)[0]._replace(duration_s=8.49)]) == 8
    assert timeline.target_duration([run(1)[0]._replace(duration_s=8.5)]) == 9


def test_the_multivariant_playlist() -> None:
    source = Rendition("source", "avc1.64001f,mp4a.40.2", 1280, 720, 30.0, 3_200_000, 3_000_000)
    audio = as_sound(source)
    text = timeline.multivariant([source, audio])
    assert check_multivariant(text) == []
    assert "\nsource.m3u8\n" in text and text.endswith("\naudio.m3u8\n")
    assert "\n/vod/7/source.m3u8\n" in timeline.multivariant([source], folder="/vod/7/")


def as_sound(rendition: Rendition) -> Rendition:
    """The same as sound alone."""
    return rendition._replace(name="audio", codecs="mp4a.40.2", width=0, height=0, frame_rate=0.0)
