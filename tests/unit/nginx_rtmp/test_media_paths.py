"""What the edge makes of the paths of videos."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.nginx import LUA
from tests.unit.nginx_rtmp.luajit import LuaJit


@pytest.fixture(scope="module")
def paths() -> Iterator[LuaJit]:
    lua = LuaJit(LUA / "media_paths.lua")
    yield lua
    lua.close()


def quoted(text: str) -> str:
    """A Lua string of these bytes."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'


def read(lua: LuaJit, path: str) -> str | None:
    return lua.run(
        f"local t = module.read({quoted(path)}) "
        'return t and table.concat({t.class, t.object or "", t.signature or t.job or "", t.type}, " ")'
    )


def split(lua: LuaJit, uri: str) -> str | None:
    return lua.run(
        f"local k, t, i, p = module.split({quoted(uri)}) "
        'return k and table.concat({k, t, i, p}, " ")'
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("index.m3u8", "playlist   application/vnd.apple.mpegurl"),
        ("480p.m3u8", "playlist   application/vnd.apple.mpegurl"),
        ("storyboard.vtt", "playlist   text/vtt"),
        ("source/12.m4s", "media source/12.m4s  video/mp4"),
        ("source/init-0.mp4", "media source/init-0.mp4  video/mp4"),
        ("poster.jpg", "picture poster.jpg  image/jpeg"),
        ("storyboard/3.jpg", "picture storyboard/3.jpg  image/jpeg"),
        ("clip.mp4", "download clip.mp4  video/mp4"),
        ("exports/5.mp3", "export exports/5.mp3 5 audio/mpeg"),
        ("exports/5.mp4", "export exports/5.mp4 5 video/mp4"),
        ("o/s-_1/videos/7/source/1.m4s", "borrowed videos/7/source/1.m4s s-_1 video/mp4"),
        ("o/s/clips/a-_b/480p/h-1.m4s", "borrowed clips/a-_b/480p/h-1.m4s s video/mp4"),
        ("o/s/uploads/7/source/1.mp4", None),
        ("o/s/videos/7/poster.jpg", None),
        ("o/s/videos/7/exports/5.mp3", None),
        ("exports/x.mp4", None),
        ("exports/5.m4s", None),
        ("source/12.ts", None),
        ("source/../12.m4s", None),
        ("source/.12.m4s", None),
        ("a/b/c.m4s", None),
        ("storyboard/x.jpg", None),
        ("", None),
        ("x" * 300 + ".m3u8", None),
    ],
)
def test_paths(paths: LuaJit, path: str, expected: str | None) -> None:
    assert read(paths, path or "/") == expected


def test_an_export_cannot_be_borrowed(paths: LuaJit) -> None:
    """Its folder looks like a rendition's."""
    found = read(paths, "o/s/videos/7/exports/5.mp4")
    assert found is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/vod/7/index.m3u8", "vod  7 index.m3u8"),
        ("/vod/~1.7.ab-_/7/source/1.m4s", "vod 1.7.ab-_ 7 source/1.m4s"),
        ("/clip-media/A-_b/x", "clip-media  A-_b x"),
        ("/vod/7", None),
        ("/vod/7/", None),
        ("/vod//index.m3u8", None),
        ("/vod/~/7/index.m3u8", None),
        ("/vod/~a/~b/7/x", None),
        ("/live/7/x", None),
        ("/vod/" + "1" * 21 + "/x", None),
    ],
)
def test_splitting(paths: LuaJit, uri: str, expected: str | None) -> None:
    assert split(paths, uri) == expected


@given(st.text(st.characters(min_codepoint=1, max_codepoint=255), min_size=1, max_size=60))
def test_nothing_odd_becomes_a_key(paths: LuaJit, path: str) -> None:
    found = read(paths, path)
    if found is not None:
        named = found.split(" ")[1]
        assert ".." not in named and "//" not in named
        assert all(c.isascii() and (c.isalnum() or c in "/-_.") for c in named)
