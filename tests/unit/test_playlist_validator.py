"""The validator finds what is wrong: each case breaks one rule of a lawful playlist."""

from __future__ import annotations

import pytest

from tests import playlist_validator

HEAD = """\
#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.0,PART-HOLD-BACK=0.6,HOLD-BACK=12.0
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:1
"""
BODY = """\
#EXT-X-MAP:URI="init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:00.000Z
#EXT-X-PART:DURATION=0.2,URI="part-0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="part-1.m4s"
#EXT-X-PART:DURATION=0.1,URI="part-2.m4s"
#EXTINF:0.5,
seg-7.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:09.000Z
#EXT-X-PART:DURATION=0.2,URI="part-3.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="part-4.m4s"
"""
TAIL = """\
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-5.m4s"
#EXT-X-RENDITION-REPORT:URI="../audio/index.m3u8",LAST-MSN=8,LAST-PART=1
"""
LAWFUL = HEAD + BODY + TAIL


def test_a_lawful_playlist_passes() -> None:
    assert playlist_validator.check_media(LAWFUL) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("#EXTM3U\n", "", "first line"),
        ("VERSION:9", "VERSION:5", "version 5"),
        ("#EXT-X-TARGETDURATION:4\n", "", "TARGETDURATION is required"),
        ("TARGETDURATION:4", "TARGETDURATION:4.0", "decimal-integer"),
        ("EXTINF:0.5", "EXTINF:4.5", "lasts 4.5"),
        ("#EXTINF:0.5,\n", "", "without EXTINF"),
        ("CAN-BLOCK-RELOAD=YES,", "", "CAN-BLOCK-RELOAD"),
        ("PART-HOLD-BACK=0.6", "PART-HOLD-BACK=0.5", "PART-HOLD-BACK"),
        ("PART-HOLD-BACK=0.6,", "", "PART-HOLD-BACK is required"),
        (",HOLD-BACK=12.0", ",HOLD-BACK=11.9", "three target durations"),
        ("CAN-SKIP-UNTIL=24.0", "CAN-SKIP-UNTIL=20.0", "six target durations"),
        ("#EXT-X-PART-INF:PART-TARGET=0.2\n", "", "without EXT-X-PART-INF"),
        ("DURATION=0.2,URI=\"part-1", "DURATION=0.21,URI=\"part-1", "lasts 0.21"),
        ("DURATION=0.2,URI=\"part-1", "DURATION=0.16,URI=\"part-1", "85 %"),
        ("EXTINF:0.5", "EXTINF:0.6", "its parts"),
        ("part-4.m4s", "part-3.m4s", "listed twice"),
        ("#EXT-X-MAP:URI=\"init-0.mp4\"\n", "", "no EXT-X-MAP"),
        ("URI=\"part-5.m4s\"", "URI=\"part-4.m4s\"", "hinted and listed"),
        (TAIL, "", "must hint"),
        (TAIL, TAIL + "#EXT-X-ENDLIST\n", "PRELOAD-HINT with EXT-X-ENDLIST"),
        ("LAST-PART=1", "LAST-PART=", "malformed attribute"),
        (",LAST-PART=1", "", "without LAST-PART"),
        ("../audio", "/audio", "must be relative"),
        ("INDEPENDENT=YES", "INDEPENDENT=NO", "INDEPENDENT=NO"),
        ("01-01T00:00:09.000Z", "01-01T00:00:09Z", "without milliseconds"),
        ("00:00:09.000Z", "00:00:09.000Z\n#EXT-X-BOGUS", "unknown tag"),
        ("2030-01-01T00:00:09", "2029-01-01T00:00:09", "goes back"),
        ("#EXT-X-VERSION:9\n", "#EXT-X-VERSION:9\n#EXT-X-VERSION:9\n", "occurs twice"),
        (HEAD + BODY, HEAD, "no whole segment"),
        ("seg-7.m4s\n#EXT-X-DISCONTINUITY\n", "seg-7.m4s\n", "starts"),
    ],
)  # fmt: skip
def test_each_rule(old: str, new: str, finding: str) -> None:
    assert old in LAWFUL
    found = playlist_validator.check_media(LAWFUL.replace(old, new, 1))
    assert any(finding in one for one in found), found


def test_tags_may_not_follow_a_segments_first_part() -> None:
    swapped = LAWFUL.replace(
        "#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:09.000Z\n"
        '#EXT-X-PART:DURATION=0.2,URI="part-3.m4s",INDEPENDENT=YES\n',
        '#EXT-X-PART:DURATION=0.2,URI="part-3.m4s",INDEPENDENT=YES\n'
        "#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:09.000Z\n",
    )
    assert any("after the first part" in one for one in playlist_validator.check_media(swapped))


NEXT = LAWFUL.replace(
    TAIL, '#EXT-X-PART:DURATION=0.2,URI="part-5.m4s"\n' + TAIL.replace("part-5", "part-6")
)


def test_a_lawful_step_passes() -> None:
    assert playlist_validator.check_history([LAWFUL, LAWFUL, NEXT]) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("TARGETDURATION:4", "TARGETDURATION:5", "target_duration changed"),
        ("PART-TARGET=0.2", "PART-TARGET=0.20001", "part_target changed"),
        ("MEDIA-SEQUENCE:7", "MEDIA-SEQUENCE:6", "media sequence went"),
        ("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2", "discontinuity sequence"),
        ('0.2,URI="part-1.m4s"', '0.19,URI="part-1.m4s"', "changed"),
        ("seg-7.m4s", "seg-8.m4s", "changed"),
        ("init-0", "init-1", "its map"),
        ("00:00:09.000", "00:00:09.001", "tags of segment 8 changed"),
        ('"part-5.m4s"', '"part-9.m4s"', "was hinted"),
        ('#EXT-X-PART:DURATION=0.2,URI="part-4.m4s"\n', "", "parts of segment 8 changed"),
    ],
)
def test_each_rule_of_change(old: str, new: str, finding: str) -> None:
    assert old in NEXT
    found = playlist_validator.check_history([LAWFUL, NEXT.replace(old, new, 1)])
    assert any(finding in one for one in found), found


def test_a_uri_may_not_come_back() -> None:
    again = NEXT.replace("part-5.m4s", "part-0.m4s").replace("part-0.m4s", "part-x.m4s", 1)
    found = playlist_validator.check_history([LAWFUL, again])
    assert any("URI part-0.m4s was" in one for one in found), found


def test_renditions_must_agree() -> None:
    assert playlist_validator.check_renditions({"a": LAWFUL, "b": LAWFUL}) == []
    other = LAWFUL.replace("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2")
    assert playlist_validator.check_renditions({"a": LAWFUL, "b": other})
    other = LAWFUL.replace("00:00:09.000", "00:00:10.000")
    assert playlist_validator.check_renditions({"a": LAWFUL, "b": other})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("BANDWIDTH=2000,AVERAGE", "AVERAGE"),
        ("AVERAGE-BANDWIDTH=1500", "AVERAGE-BANDWIDTH=2500"),
        (",RESOLUTION=1280x720", ""),
        ("FRAME-RATE=30.000", "FRAME-RATE=30"),
        ("avc1.4d400d", "h264"),
        ("s1/source/index.m3u8", "#comment"),
        ("#EXTM3U", "#EXTM3U\n#EXTINF:1,"),
    ],
)
def test_multivariant_rules(old: str, new: str) -> None:
    lawful = (
        "#EXTM3U\n#EXT-X-VERSION:9\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=2000,AVERAGE-BANDWIDTH=1500,"
        'CODECS="avc1.4d400d,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000\n'
        "s1/source/index.m3u8\n"
    )
    assert playlist_validator.check_multivariant(lawful) == []
    assert playlist_validator.check_multivariant(lawful.replace(old, new, 1))
