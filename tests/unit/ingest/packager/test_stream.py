"""Whole sessions from made-up FLV: what every stream must keep, whatever its source does."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ingest.packager import PackagerConfig
from tests import playlist_validator
from tests.packager_kit import (
    AAC_RECORD,
    AVC_RECORD,
    Session,
    Synthetic,
    aac_config,
    aac_frame,
    avc_config,
    avc_frame,
    flv_header,
    picture,
    sound,
    tag,
)

AAC_44100 = bytes.fromhex("1210")
VIDEO, AUDIO = 1, 2
# Shrinking a failing session takes minutes; its seed is printed and is enough to find it again.
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)


def play(synthetic: Synthetic, seconds: float) -> Session:
    session = Session()
    session.feed(synthetic.prologue())
    session.play(synthetic.tags(seconds))
    session.end()
    session.check()
    return session


def pictures(session: Session, name: str = "source") -> list[bytes]:
    return [sample.data for sample in session[name].samples()[VIDEO]]


@pytest.mark.parametrize("rate", [1, 5, 15, 23.976, 24, 25, 29.97, 30, 50, 59.94, 60, 120])
def test_every_frame_is_in_exactly_once_at_any_rate(rate: float) -> None:
    seconds = 40 if rate < 30 else 15
    session = play(Synthetic(rate=rate, gop=max(2, round(rate))), seconds)
    count = round(seconds * rate)
    samples = session["source"].samples()
    assert [s.data for s in samples[VIDEO]] == [picture(n) for n in range(count)]
    for number, sample in enumerate(samples[VIDEO]):
        assert sample.pts == pytest.approx(round(number * 1000 / rate) / 1000, abs=1e-6)
    heard = [s.data for s in samples[AUDIO]]
    assert heard == [sound(n) for n in range(len(heard))]
    assert [s.data for s in session["audio"].samples()[AUDIO]] == heard


@pytest.mark.parametrize(
    ("rate", "target"),
    [(30, 0.201), (25, 0.201), (24, 0.209), (23.976, 0.209), (29.97, 0.201), (60, 0.201),
     (50, 0.201), (15, 0.201), (10, 0.201), (1, 1.0)],
)  # fmt: skip
def test_the_part_target_is_a_whole_number_of_frames(rate: float, target: float) -> None:
    session = play(Synthetic(rate=rate, gop=max(2, round(rate))), 12)
    assert session["source"].playlists[-1].part_target == target
    frames = {p.duration for p in session["source"].parts}
    assert max(frames) <= target


def test_a_part_is_out_with_its_last_frame_not_with_the_next() -> None:
    session = Session()
    synthetic = Synthetic(rate=30, gop=30, audio=False)
    session.feed(synthetic.prologue())
    out: list[tuple[int, int]] = []
    for time, data in synthetic.tags(6):
        before = len(session["source"].parts)
        session.feed(data)
        if time > 1100:
            out += [(time, n) for n in range(before, len(session["source"].parts))]
    # Part n holds frames 6n to 6n+5.
    assert [(time, number) for time, number in out if number % 5] == [
        (round((6 * number + 5) * 1000 / 30), number) for _, number in out if number % 5
    ]


@pytest.mark.parametrize("gop_s", [0.5, 1, 1.5, 2, 3, 5, 8.3, 12, 15])
def test_segments_begin_at_keyframes(gop_s: float) -> None:
    session = play(Synthetic(rate=30, gop=round(gop_s * 30)), 40)
    source = session["source"]
    target = source.playlists[-1].target_duration
    assert target == min(12, max(4, -(-gop_s * 3 // 2)))
    first, *middle, _ = source.segments
    assert first.duration == pytest.approx(min(gop_s, 12.4), abs=0.05)
    if gop_s <= target:
        keyed = [source.files[segment.parts[0]] for segment in source.segments]
        assert all(part for part in keyed)
        starts = {p.msn: p.independent for p in source.parts if p.index == 0}
        assert all(starts.values())
        nearest = max(1, round(2 / gop_s)) * gop_s
        assert {round(s.duration, 1) for s in middle} == {round(nearest, 1)}
        assert session.faults == []
    else:
        assert {fault.code for fault in session.faults} == {"keyframe_interval"}
        assert not any(fault.fatal for fault in session.faults)


def test_a_gop_that_grows_is_cut_and_told() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic(gop=30).tags(6))
    session.play((t, d) for t, d in Synthetic(gop=600, start=6000, first_picture=180).tags(40))
    session.end()
    session.check()
    assert [fault.code for fault in session.faults] == ["keyframe_interval"]
    assert pictures(session) == [picture(n) for n in range(180 + 1200)]
    assert max(s.duration for s in session["source"].segments) <= 4.5


@given(
    dropped=st.sets(st.integers(31, 260), max_size=120),
    rate=st.sampled_from([24, 25, 30, 60]),
    gop=st.sampled_from([15, 30, 75]),
)
@settings(max_examples=20, deadline=None, phases=QUICK)
def test_dropped_frames_lose_no_other(dropped: set[int], rate: int, gop: int) -> None:
    lost = frozenset(n for n in dropped if n % gop)
    session = play(Synthetic(rate=rate, gop=gop, dropped=lost), 10)
    kept = [n for n in range(10 * rate) if n not in lost]
    samples = session["source"].samples()[VIDEO]
    assert [s.data for s in samples] == [picture(n) for n in kept]
    for number, sample in zip(kept, samples, strict=True):
        assert sample.pts == pytest.approx(round(number * 1000 / rate) / 1000, abs=1e-6)
    assert all(b.dts > a.dts for a, b in pairwise(samples))


@given(st.lists(st.integers(1, 120), min_size=150, max_size=300), st.booleans())
@settings(max_examples=20, deadline=None, phases=QUICK)
def test_any_spacing_of_frames_makes_lawful_playlists(steps: list[int], audio: bool) -> None:
    session = Session()
    session.feed(Synthetic(audio=audio).prologue())
    time = 0
    stamps = []
    sounds = 0
    for number, step in enumerate(steps):
        while audio and sounds * 1024 / 48 <= time:
            session.feed(aac_frame(round(sounds * 1024 / 48), sound(sounds)))
            sounds += 1
        session.feed(avc_frame(time, picture(number), sync=number % 20 == 0), ms=step)
        stamps.append(time)
        time += step
    session.end()
    session.check()
    samples = session["source"].samples()[VIDEO]
    assert [s.data for s in samples] == [picture(n) for n in range(len(steps))]
    assert [round(s.pts * 1000) for s in samples] == stamps


def test_frames_reordered_by_the_encoder_keep_their_times() -> None:
    session = Session()
    session.feed(flv_header(audio=False) + avc_config())
    # Display order I B B P: offsets as x264 makes them for two B-frames.
    times = []
    for number in range(300):
        dts = round(number * 1000 / 30)
        offset = (67, 133, 0)[number % 3] if number % 30 else 67
        session.feed(avc_frame(dts, picture(number), sync=number % 30 == 0, offset=offset))
        times.append(dts + offset)
    session.end()
    session.check()
    samples = session["source"].samples()[VIDEO]
    assert [round(s.pts * 1000) for s in samples] == times


def test_a_reconnect_is_one_discontinuity_and_loses_nothing() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(7.3))
    session.cut()
    after = Synthetic(first_picture=219, first_sound=1000)
    session.feed(after.prologue(), ms=5000)
    session.play(after.tags(60))
    session.end()
    session.check()
    assert pictures(session) == [picture(n) for n in range(219 + 1800)]
    for name in ("source", "audio"):
        marks = [s for s in session[name].segments if s.discontinuity]
        assert len(marks) == 1
    sequences = [
        playlist_validator.parse_media(p.text).discontinuity_sequence
        for p in session["source"].playlists
    ]
    assert sequences[0] == 0 and sequences[-1] == 1


def test_after_a_reconnect_parts_flow_at_once() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(5))
    session.cut()
    parts = len(session["source"].parts)
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(0.25))
    assert len(session["source"].parts) > parts


def test_a_cut_before_the_first_segment_closed_publishes_it() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic(gop=90).tags(1))
    assert session["source"].playlists == []
    session.cut()
    assert len(session["source"].segments) == 1
    session.end()
    session.check()
    assert pictures(session) == [picture(n) for n in range(30)]


def test_a_new_resolution_is_a_new_map_and_one_discontinuity() -> None:
    other = bytes.fromhex(
        "0142c01effe1001a6742c01ed900a02ff970110000030001000003003c8f162e48" + "01000468cb83cb20"
    )
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(5))
    session.feed(avc_config(other, time=5000))
    session.play(Synthetic(start=5000, first_picture=150, first_sound=500).tags(20))
    session.end()
    session.check()
    assert pictures(session) == [picture(n) for n in range(150 + 600)]
    source = session["source"]
    assert {s.init_name for s in source.segments} == {"init-0.mp4", "init-1.mp4"}
    assert sum(s.discontinuity for s in source.segments) == 1
    assert {s.init_name for s in session["audio"].segments} == {"init-0.mp4"}
    sizes = {(i.info.width, i.info.height) for i in session.infos}
    assert sizes == {(320, 180), (640, 368)} or len(sizes) == 2


def test_sound_that_changes_its_format_begins_anew_with_a_keyframe() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(5))
    session.feed(aac_config(AAC_44100, time=5000))
    session.play(
        Synthetic(start=5000, first_picture=150, first_sound=900, audio_rate=44100).tags(20)
    )
    session.end()
    session.check()
    assert pictures(session) == [picture(n) for n in range(750)]
    assert len({s.init_name for s in session["source"].segments}) == 2


def test_sound_that_comes_late_joins_with_a_keyframe() -> None:
    session = Session()
    session.feed(flv_header() + avc_config())
    session.play(Synthetic(audio=False).tags(5))
    session.feed(aac_config(time=5000))
    session.play(Synthetic(start=5000, first_picture=150).tags(10))
    session.end()
    session.check()
    assert pictures(session) == [picture(n) for n in range(450)]
    assert AUDIO in session["source"].samples()


def test_sound_that_stops_leaves_the_tracks_until_it_comes_back() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    tags = [(t, d) for t, d in Synthetic().tags(40) if d[0] == 9 or not 8_000 < t < 20_000]
    session.play(tags)
    session.end()
    session.check()
    assert pictures(session) == [picture(n) for n in range(1200)]
    assert [fault.code for fault in session.faults] == ["audio_gap"]
    source = session["source"]
    assert [s.init_name for s in source.segments if s.discontinuity] == ["init-1.mp4", "init-2.mp4"]
    assert {s.msn for s in session["audio"].segments} < {s.msn for s in source.segments}


def test_sound_alone() -> None:
    session = Session()
    session.feed(flv_header(video=False) + aac_config())
    for number in range(1500):
        session.feed(aac_frame(round(number * 1024 / 48), sound(number)), ms=21.3)
    session.end()
    session.check()
    for name in ("source", "audio"):
        samples = session[name].samples()[AUDIO]
        assert [s.data for s in samples] == [sound(n) for n in range(1500)]
    multivariant = session.stream.multivariant()
    assert multivariant is not None and "RESOLUTION" not in multivariant


def test_no_sound() -> None:
    session = play(Synthetic(audio=False), 20)
    assert pictures(session) == [picture(n) for n in range(600)]
    assert "audio" not in session.renditions


def test_times_past_ten_hours_and_over_the_wrap() -> None:
    for start in (36_000_000, (1 << 24) - 5_000, (1 << 31) - 5_000, (1 << 32) - 5_000):
        session = Session()
        session.feed(flv_header() + avc_config() + aac_config())
        synthetic = Synthetic()
        for time, data in synthetic.tags(12):
            stamp = start + time
            wrapped = stamp % (1 << 32 if start > 1 << 31 else 1 << 31)
            session.feed(
                data[:4]
                + (wrapped & 0xFFFFFF).to_bytes(3, "big")
                + bytes([wrapped >> 24])
                + data[8:]
            )
        session.end()
        session.check()
        assert session.faults == []
        assert pictures(session) == [picture(n) for n in range(360)]


@pytest.mark.parametrize("jump", [-4_000, -3_600_000, 11_000, 36_000_000])
def test_a_clock_that_jumps_is_a_discontinuity(jump: int) -> None:
    begin = 7_200_000
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic(start=begin).tags(5))
    session.play(Synthetic(start=begin + 5000 + jump, first_picture=150, first_sound=900).tags(10))
    session.end()
    session.check()
    assert [fault.code for fault in session.faults] == ["timestamps_reset"]
    assert pictures(session) == [picture(n) for n in range(450)]
    for name in ("source", "audio"):
        assert sum(s.discontinuity for s in session[name].segments) == 1


def test_pictures_that_pause_while_sound_goes_on() -> None:
    dropped = frozenset(range(150, 450))
    session = play(Synthetic(dropped=dropped), 30)
    assert pictures(session) == [picture(n) for n in range(900) if n not in dropped]
    assert [fault.code for fault in session.faults] == ["video_gap"]
    heard = [s.data for s in session["source"].samples()[AUDIO]]
    assert heard == [sound(n) for n in range(len(heard))]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"RIFF" + bytes(20), "not_flv"),
        (flv_header() + tag(7, 0, b"x"), "corrupt_flv"),
        (flv_header() + tag(9, 0, b"\x17\x01")[:-4] + b"\0\0\0\1", "corrupt_flv"),
        (flv_header() + tag(9, 0, b"\x17\x01\x00"), "corrupt_flv"),
        (flv_header() + tag(9, 0, b"\x22\x01\x00\x00\x00\x00"), "video_codec"),
        (flv_header() + tag(9, 0, b"\x90vp09rest"), "video_codec"),
        (flv_header() + tag(8, 0, b"\x2f\xff\xfb"), "audio_codec"),
        (flv_header() + tag(8, 0, b"\x90Opusrest"), "audio_codec"),
        (flv_header() + avc_config(b"\x01\x02"), "codec_config"),
        (flv_header() + aac_config(b"\xff\xff"), "codec_config"),
        (flv_header() + avc_config() + avc_frame(0, b"x", sync=True, offset=20_000), "timestamps"),
        (flv_header() + b"".join(avc_frame(n, b"x") for n in range(40)), "codec_config"),
        (flv_header() + avc_config() + b"".join(avc_frame(n * 40, b"x") for n in range(400)),
         "no_keyframe"),
    ],
)  # fmt: skip
def test_what_cannot_be_packaged_is_a_fault_with_a_code(data: bytes, code: str) -> None:
    session = Session()
    session.feed(data)
    assert [(f.code, f.fatal, f.rendition) for f in session.faults] == [(code, True, "source")]
    assert session.faults[0].message
    session.feed(data)
    assert len(session.faults) == 1
    session.cut()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(3))
    session.end()
    session.check()
    assert pictures(session) == [picture(n) for n in range(90)]


def test_memory_is_bounded() -> None:
    session = Session(PackagerConfig(max_pending_bytes=1 << 20))
    session.feed(flv_header() + avc_config())
    for number in range(100):
        session.feed(avc_frame(0, picture(number, 50_000), sync=number == 0))
    assert [fault.code for fault in session.faults] == ["too_much_data"]


def test_frames_that_all_claim_the_same_time() -> None:
    session = Session()
    session.feed(flv_header(audio=False) + avc_config())
    for number in range(2000):
        session.feed(avc_frame(500, picture(number), sync=number % 50 == 0))
    session.end()
    session.check()
    assert pictures(session) == [picture(n) for n in range(2000)]


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=40))
@settings(max_examples=30, deadline=None, phases=QUICK)
def test_chunking_makes_no_difference(sizes: list[int]) -> None:
    synthetic = Synthetic()
    data = synthetic.prologue() + b"".join(data for _, data in synthetic.tags(4))
    whole, pieces = Session(), Session()
    whole.feed(data)
    whole.end()
    position, turn = 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        pieces.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    pieces.end()
    assert {n: p.files for n, p in whole.renditions.items()} == {
        n: p.files for n, p in pieces.renditions.items()
    }
    assert whole["source"].playlists[-1].text == pieces["source"].playlists[-1].text


@given(st.integers(0, 1 << 32), st.floats(0.0005, 0.05))
@settings(max_examples=40, deadline=None, phases=QUICK)
def test_damage_never_raises(seed: int, share: float) -> None:
    source = random.Random(seed)
    synthetic = Synthetic()
    data = bytearray(synthetic.prologue() + b"".join(data for _, data in synthetic.tags(3)))
    for _ in range(max(1, round(len(data) * share))):
        data[source.randrange(len(data))] = source.randrange(256)
    session = Session()
    for position in range(0, len(data), 500):
        session.feed(bytes(data[position : position + 500]))
    session.end()


@given(st.binary(max_size=2000), st.binary(max_size=300))
@settings(max_examples=100, deadline=None, phases=QUICK)
def test_noise_never_raises(noise: bytes, payload: bytes) -> None:
    for data in (noise, flv_header() + noise, flv_header() + tag(9, 0, payload or b"x"),
                 flv_header() + tag(8, 0, payload or b"x"),
                 flv_header() + tag(18, 0, payload or b"x"),
                 flv_header() + avc_config(AVC_RECORD[:6] + payload),
                 flv_header() + aac_config(AAC_RECORD[:1] + payload)):  # fmt: skip
        session = Session()
        session.feed(data)
        session.end()


def test_a_rendition_report_names_every_other_rendition() -> None:
    session = play(Synthetic(), 10)
    before_the_end = session["source"].playlists[-2]
    playlist = playlist_validator.parse_media(before_the_end.text)
    assert [report["URI"] for report in playlist.reports] == ["../audio/index.m3u8"]
    audio = session["audio"].playlists[-2]
    assert int(playlist.reports[0]["LAST-MSN"]) <= audio.msn


def test_delta_updates_come_when_there_is_something_to_skip() -> None:
    session = play(Synthetic(), 60)
    deltas = [bool(playlist.delta) for playlist in session["source"].playlists]
    assert not deltas[0] and deltas[-1]
    assert deltas == sorted(deltas)


def test_files_expire_only_after_no_playlist_can_name_them() -> None:
    session = play(Synthetic(), 120)
    source = session["source"]
    gone = set(source.expired)
    assert "seg-1.m4s" in gone and "part-0.m4s" in gone
    assert all(f"part-{p.number}.m4s" not in gone for p in source.parts[-60:])
    kept = sum(len(d) for n, d in source.files.items() if n not in gone)
    assert kept < sum(map(len, source.files.values()))


def test_the_multivariant_template() -> None:
    session = play(Synthetic(), 10)
    text = session.stream.multivariant()
    assert text is None or "EXT-X-STREAM-INF" not in text  # all have ended
    session = Session()
    assert session.stream.multivariant() is None
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(3))
    text = session.stream.multivariant()
    assert text is not None
    assert "s1/source/index.m3u8?p={p}" in text
    assert text.rstrip().endswith("s1/audio/index.m3u8?p={p}")
    assert 'CODECS="avc1.4d400d,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=30.000' in text
