"""The text of playlists, against ones written by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ingest.packager.playlist import (
    MediaPlaylist,
    Targets,
    Variant,
    date_time,
    multivariant,
    seconds,
    target_duration,
)
from tests import playlist_validator

START = datetime(2030, 1, 1, tzinfo=UTC)
GOLDEN = """\
#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.0,PART-HOLD-BACK=0.603,HOLD-BACK=12.0
#EXT-X-PART-INF:PART-TARGET=0.201
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXT-X-MAP:URI="init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:00.000Z
#EXT-X-PART:DURATION=0.200,URI="part-0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.200,URI="part-1.m4s"
#EXTINF:0.400,
seg-1.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init-1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:05.000Z
#EXT-X-PART:DURATION=0.185759,URI="part-2.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-3.m4s"
#EXT-X-RENDITION-REPORT:URI="../audio/index.m3u8",LAST-MSN=2,LAST-PART=0
"""
REPORT = '#EXT-X-RENDITION-REPORT:URI="../audio/index.m3u8",LAST-MSN=2,LAST-PART=0\n'


def golden() -> MediaPlaylist:
    playlist = MediaPlaylist(Targets(4, 201), 0, 1, 0)
    playlist.open_segment(1, "init-0.mp4", False, START)
    playlist.add_part("part-0.m4s", 200_000, True)
    playlist.add_part("part-1.m4s", 200_000, False)
    playlist.close_segment("seg-1.m4s")
    playlist.open_segment(2, "init-1.mp4", True, START + timedelta(seconds=5))
    playlist.add_part("part-2.m4s", 185_759, True)
    return playlist


def test_golden() -> None:
    text, delta = golden().render("part-3.m4s", [REPORT])
    assert text == GOLDEN
    assert delta == ""
    assert playlist_validator.check_media(text) == []


def test_the_golden_text_says_what_was_put_in() -> None:
    playlist = playlist_validator.parse_media(GOLDEN)
    assert [s.uri for s in playlist.segments] == ["seg-1.m4s", ""]
    assert [s.map_uri for s in playlist.segments] == ["init-0.mp4", "init-1.mp4"]
    assert [p.duration for s in playlist.segments for p in s.parts] == [0.2, 0.2, 0.185759]
    assert playlist.segments[1].date_time == START + timedelta(seconds=5)


def test_the_end_takes_hint_and_reports_away() -> None:
    playlist = golden()
    playlist.close_segment("seg-2.m4s")
    text, _ = playlist.render("", [REPORT])
    assert text.endswith("seg-2.m4s\n#EXT-X-ENDLIST\n")
    assert "HINT" not in text and "REPORT" not in text


def test_a_gap() -> None:
    playlist = golden()
    playlist.close_segment("seg-2.m4s")
    playlist.add_gap(3, "init-1.mp4", False, START + timedelta(seconds=7), 2_000_000)
    text, _ = playlist.render("part-3.m4s", [])
    assert "#EXT-X-GAP\n#EXTINF:2.000,\ngap-3.m4s\n" in text
    assert playlist_validator.check_media(text) == []


def test_window_discontinuities_and_skipping() -> None:
    playlist = MediaPlaylist(Targets(4, 201), 0, 1, 0)
    texts = []
    dropped: list[str] = []
    for number in range(1, 60):
        wall = START + timedelta(seconds=number * 2)
        playlist.open_segment(number, f"init-{number // 5}.mp4", number % 5 == 0, wall)
        for index in range(10):
            playlist.add_part(f"part-{number * 10 + index}.m4s", 200_000, index == 0)
            for files in playlist.drop_old():
                dropped += files.names
        playlist.close_segment(f"seg-{number}.m4s")
        for files in playlist.drop_old():
            dropped += files.names
        text, delta = playlist.render(f"part-{(number + 1) * 10}.m4s", [])
        texts.append(text)
        if delta:
            assert playlist_validator.check_delta(text, delta) == []
    assert playlist_validator.check_history(texts) == []
    last = playlist_validator.parse_media(texts[-1])
    assert last.length >= 7 * 4 - 2
    assert last.discontinuity_sequence > 0
    assert "part-10.m4s" in dropped and "seg-1.m4s" in dropped
    assert delta.count("EXT-X-SKIP") == 1


@pytest.mark.parametrize(
    ("length_ms", "expected"),
    [(500, 4), (2_000, 4), (3_000, 5), (4_000, 6), (8_300, 12), (15_000, 12)],
)
def test_target_duration(length_ms: int, expected: int) -> None:
    assert target_duration(length_ms, 4, 12) == expected


def test_numbers_and_times() -> None:
    assert seconds(200_000) == "0.200"
    assert seconds(12_185_759) == "12.185759"
    assert date_time(START + timedelta(microseconds=999)) == "2030-01-01T00:00:00.000Z"


def test_multivariant_golden() -> None:
    text = multivariant(
        "s1",
        [
            Variant("source", "avc1.4d400d,mp4a.40.2", 3_200_000, 3_000_000, 1280, 720, 29.97),
            Variant("audio", "mp4a.40.2", 130_000, 128_000, 0, 0, 0.0),
        ],
    )
    assert text == (
        "#EXTM3U\n#EXT-X-VERSION:9\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=3200000,AVERAGE-BANDWIDTH=3000000,"
        'CODECS="avc1.4d400d,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970\n'
        "s1/source/index.m3u8?p={p}\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS="mp4a.40.2"\n'
        "s1/audio/index.m3u8?p={p}\n"
    )
    assert playlist_validator.check_multivariant(text) == []
