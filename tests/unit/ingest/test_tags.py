"""Tags as they pass by, in any chunking; what a decoder that joins late is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import tags
from ingest.tags import Kind, Replay, Tag, TagError, TagScanner
from tests.packager_kit import (
    Synthetic,
    aac_config,
    aac_frame,
    avc_config,
    avc_frame,
    flv_header,
    tag,
)


def scan(data: bytes, size: int = 1 << 20) -> list[Tag]:
    scanner = TagScanner()
    return [
        found
        for start in range(0, len(data), size)
        for found in scanner.feed(data[start : start + size])
    ]


def stream(seconds: float) -> bytes:
    synthetic = Synthetic()
    return synthetic.prologue() + b"".join(data for _, data in synthetic.tags(seconds))


def test_kinds() -> None:
    enhanced = tag(9, 40, b"\x90hvc1" + b"config")
    picture = tag(9, 50, b"\x93hvc1" + b"frame")
    inter = tag(9, 60, b"\xa1hvc1\x00\x00\x00" + b"frame")
    mp3 = tag(8, 70, b"\x2f" + b"sound")
    script = tag(18, 0, b"\x02\x00\x0aonMetaData")
    end = tag(9, 80, b"\x17\x02\x00\x00\x00")
    data = flv_header() + script + avc_config() + aac_config() + avc_frame(10, b"x", sync=True)
    data += avc_frame(20, b"x") + aac_frame(30, b"x") + enhanced + picture + inter + mp3 + end
    assert [(t.kind, t.time, t.keyframe) for t in scan(data)] == [
        (Kind.OTHER, 0, False),
        (Kind.VIDEO_HEADER, 0, False),
        (Kind.AUDIO_HEADER, 0, False),
        (Kind.VIDEO, 10, True),
        (Kind.VIDEO, 20, False),
        (Kind.AUDIO, 30, False),
        (Kind.VIDEO_HEADER, 40, False),
        (Kind.VIDEO, 50, True),
        (Kind.VIDEO, 60, False),
        (Kind.AUDIO, 70, False),
        (Kind.OTHER, 80, False),
    ]


@given(st.integers(1, 400))
def test_chunking_makes_no_difference(size: int) -> None:
    data = stream(0.7)
    assert scan(data, size) == scan(data)
    assert b"".join(found.data for found in scan(data)) == data[13:]


def test_times_past_four_hours() -> None:
    assert scan(flv_header() + avc_frame(0x0123_4567, b"x"))[0].time == 0x0123_4567


@pytest.mark.parametrize("data", [b"RIFF" + bytes(20), flv_header() + tag(7, 0, b"xx")])
def test_what_is_not_flv_is_an_error(data: bytes) -> None:
    with pytest.raises(TagError):
        scan(data)


@given(st.binary(max_size=300))
def test_noise_raises_nothing_else(noise: bytes) -> None:
    try:
        scan(flv_header() + noise, 37)
    except TagError:
        pass


def test_a_late_decoder_begins_at_the_latest_keyframe() -> None:
    data = stream(2.5)
    scanner, replay = TagScanner(), Replay()
    for found in scanner.feed(data):
        replay.add(found)
    joined = scan(replay.prefix(scanner.header) + replay.gop())
    assert [t.kind for t in joined[:2]] == [Kind.VIDEO_HEADER, Kind.AUDIO_HEADER]
    first = next(t for t in joined if t.kind is Kind.VIDEO)
    assert first.keyframe and first.time == 2000
    assert data.endswith(replay.gop())


def test_a_gop_too_long_to_keep_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "MAX_REPLAY_BYTES", 1000)
    replay = Replay()
    for found in scan(stream(0.9)):
        replay.add(found)
    assert replay.gop() == b""
    for found in scan(stream(0.1)):
        replay.add(found)
    assert replay.gop() != b""
