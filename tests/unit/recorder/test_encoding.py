"""The ladder of an upload, and the command line that makes it."""

from __future__ import annotations

import pytest

from recorder.encoding import command, plan
from recorder.probe import Picture, Probe, Sound

HD = Probe("mov", 10, Picture(0, "h264", 1920, 1080, 30), Sound(1, "aac"))


@pytest.mark.parametrize(
    ("width", "height", "sizes"),
    [
        (1920, 1080, [(1920, 1080), (1280, 720), (854, 480), (640, 360)]),
        (1080, 1920, [(1080, 1920), (720, 1280), (480, 854), (360, 640)]),
        (3840, 2160, [(1920, 1080), (1280, 720), (854, 480), (640, 360)]),
        (640, 400, [(640, 400), (384, 240)]),
        (161, 91, [(160, 90)]),
    ],
)
def test_never_larger_than_it_is(width: int, height: int, sizes: list[tuple[int, int]]) -> None:
    planned = plan(Probe("mov", 10, Picture(0, "h264", width, height, 30), None))
    assert [(rung.width, rung.height) for rung in planned.rungs] == sizes
    assert planned.names[0] == "source"


def test_sound_alone_has_no_rungs() -> None:
    planned = plan(Probe("mp3", 10, None, Sound(0, "mp3")))
    assert (planned.rungs, planned.names, planned.outputs) == ((), ["source"], 1)


def test_a_rung_goes_to_its_pipe_with_the_sound() -> None:
    probe = Probe("mov", 10, Picture(2, "h264", 320, 240, 25), Sound(1, "aac"))
    words = command("/bin/ffmpeg", probe, plan(probe), 5, "mov", [9])
    begins = words.index("-i")
    assert words[begins - 2 : begins + 2] == ["-fd", "5", "-i", "fd:"]
    graph = words[words.index("-filter_complex") + 1]
    assert graph.startswith("[0:2]scale=") and "format=yuv420p" in graph
    assert ["-map", "0:1"] == words[words.index("0:1") - 1 : words.index("0:1") + 1]
    assert words[-1] == "pipe:9"
    assert words[words.index("-max_pixels") + 1].isdigit()


def test_light_of_a_wide_range_is_mapped_and_too_many_pictures_are_thinned() -> None:
    picture = Picture(0, "hevc", 640, 480, 120, is_hdr=True, is_interlaced=True)
    probe = Probe("mov", 10, picture, None)
    words = command("/bin/ffmpeg", probe, plan(probe), 5, None, [9, 10, 11])
    graph = words[words.index("-filter_complex") + 1]
    for part in ("tonemap=", "fps=60", "bwdif=", "split=3"):
        assert part in graph
    assert "-c:a" not in words
    assert "-f" not in words[: words.index("-i")]


@pytest.mark.parametrize(
    ("picture", "matrix"),
    [
        (Picture(0, "h264", 1920, 1080, 30), "bt709"),
        (Picture(0, "h264", 640, 480, 30), "smpte170m"),
        (Picture(0, "h264", 1920, 1080, 30, knows_colours=True), None),
    ],
)
def test_colours_that_a_file_does_not_name_are_named(picture: Picture, matrix: str | None) -> None:
    """The same in all renditions, or a player would show the smaller ones in others."""
    probe = Probe("mov", 10, picture, None)
    rungs = plan(probe).outputs
    graph = " ".join(command("/bin/ffmpeg", probe, plan(probe), 5, None, range(9, 9 + rungs)))
    assert graph.count("out_color_matrix=") == (rungs if matrix else 0)
    assert matrix is None or graph.count(f"in_color_matrix={matrix}") == rungs


def test_the_demuxer_and_the_size_are_held_to_what_was_seen() -> None:
    words = command("/bin/ffmpeg", HD, plan(HD), 5, "mov", [9, 10, 11, 12])
    head = words[: words.index("-i")]
    assert head[head.index("-f") + 1] == "mov"
    assert head[head.index("-protocol_whitelist") + 1] == "fd"
    assert words.count("expr:gte(t,n_forced*2)") == 4
