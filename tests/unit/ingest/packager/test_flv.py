"""FLV tags, classic and enhanced, from any chunking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packager.flv import (
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
from tests.packager_kit import AAC_RECORD, AVC_RECORD, aac_frame, avc_frame, flv_header, tag


def read(data: bytes) -> list[Item]:
    return list(FlvReader().feed(data))


def one(kind: int, payload: bytes, time: int = 7) -> Item | None:
    items = read(flv_header() + tag(kind, time, payload))
    return items[1] if len(items) > 1 else None


@pytest.mark.parametrize(("audio", "video"), [(True, True), (True, False), (False, True)])
def test_header(audio: bool, video: bool) -> None:
    assert read(flv_header(audio=audio, video=video)) == [Header(audio, video)]


@pytest.mark.parametrize(
    ("kind", "payload", "expected"),
    [
        (9, b"\x17\x00\x00\x00\x00" + AVC_RECORD, VideoRecord(b"avc1", AVC_RECORD)),
        (9, b"\x17\x01\x00\x00\x21pic", VideoFrame(7, 33, True, memoryview(b"pic"))),
        (9, b"\x27\x01\xff\xff\xdfpic", VideoFrame(7, -33, False, memoryview(b"pic"))),
        (9, b"\x17\x02\x00\x00\x00", None),
        (9, b"\x57\x01", None),
        (9, b"\x90hvc1rec", VideoRecord(b"hvc1", b"rec")),
        (9, b"\x90avc1rec", VideoRecord(b"avc1", b"rec")),
        (9, b"\x91hvc1\x00\x00\x21pic", VideoFrame(7, 33, True, memoryview(b"pic"))),
        (9, b"\xa3hvc1pic", VideoFrame(7, 0, False, memoryview(b"pic"))),
        (9, b"\x91av01pic", VideoFrame(7, 0, True, memoryview(b"pic"))),
        (9, b"\x92hvc1", None),
        (9, b"\x94hvc1meta", None),
        # ModEx with a nanosecond offset of 3 bytes, then coded frames without offset.
        (9, b"\x97\x02\x00\x00\x01\x03hvc1pic", VideoFrame(7, 0, True, memoryview(b"pic"))),
        # Multitrack: one track; many tracks of which ours is the second; many codecs.
        (9, b"\x96\x03hvc1\x00pic", VideoFrame(7, 0, True, memoryview(b"pic"))),
        (9, b"\x96\x13hvc1\x01\x00\x00\x02xx\x00\x00\x00\x03pic",
         VideoFrame(7, 0, True, memoryview(b"pic"))),
        (9, b"\x96\x23av01\x00\x00\x00\x03pichvc1\x01\x00\x00\x02xx",
         VideoFrame(7, 0, True, memoryview(b"pic"))),
        (9, b"\x96\x03hvc1\x01pic", None),
        (8, b"\xaf\x00" + AAC_RECORD, AudioRecord(AAC_RECORD)),
        (8, b"\xaf\x01aac", AudioFrame(7, memoryview(b"aac"))),
        (8, b"\xaf\x01", None),
        (8, b"\x90mp4a" + AAC_RECORD, AudioRecord(AAC_RECORD)),
        (8, b"\x91mp4aaac", AudioFrame(7, memoryview(b"aac"))),
        (8, b"\x92mp4a", None),
        (8, b"\x95\x01mp4a\x00aac", AudioFrame(7, memoryview(b"aac"))),
        (18, b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x01\x00\x01a\x01\x01\x00\x00\x09",
         Metadata({"a": True})),
        (18, b"\x02\x00\x03foo", None),
        (18, b"\x02\xff", None),
    ],
)  # fmt: skip
def test_tags(kind: int, payload: bytes, expected: Item | None) -> None:
    assert one(kind, payload) == expected


def test_times_have_32_bits() -> None:
    assert one(8, b"\xaf\x01a", 0xFEDCBA98) == AudioFrame(0xFEDCBA98, memoryview(b"a"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"FLV\x02" + bytes(20), "not_flv"),
        (flv_header() + tag(10, 0, b"x"), "corrupt_flv"),
        (flv_header() + tag(9, 0, b"\x97\x02\x00"), "corrupt_flv"),
        (flv_header() + tag(9, 0, b"\x96\x13hvc1\x00"), "corrupt_flv"),
        (flv_header() + tag(8, 0, b"\xaf"), "corrupt_flv"),
        (flv_header() + tag(9, 0, b"\x14"), "video_codec"),
        (flv_header() + tag(8, 0, b"\xb0"), "audio_codec"),
        (flv_header() + tag(8, 0, b"\x91fLaC"), "audio_codec"),
    ],
)
def test_faults(data: bytes, code: str) -> None:
    with pytest.raises(FlvError) as caught:
        read(data)
    assert caught.value.code == code


@given(st.lists(st.integers(1, 60), min_size=1), st.lists(st.binary(min_size=1), max_size=20))
def test_any_chunking_gives_the_same_items(sizes: list[int], payloads: list[bytes]) -> None:
    data = flv_header()
    for number, payload in enumerate(payloads):
        data += aac_frame(number, payload) + avc_frame(number, payload, sync=True)
    reader = FlvReader()
    items: list[Item] = []
    position = turn = 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        items += reader.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert items == read(data)
    assert len(items) == 1 + 2 * len(payloads)


def test_a_large_tag_in_small_chunks_is_joined_once() -> None:
    payload = bytes(1 << 20)
    data = flv_header() + avc_frame(0, payload, sync=True)
    reader = FlvReader()
    items: list[Item] = []
    for position in range(0, len(data), 4096):
        items += reader.feed(data[position : position + 4096])
    assert isinstance(items[1], VideoFrame) and items[1].data == payload
