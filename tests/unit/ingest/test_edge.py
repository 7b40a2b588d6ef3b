"""What is written to an edge, and reading its answers in any chunking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.edge import MAX_HEAD, ResponseError, ResponseParser, render

FIRST = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nX-Edge-Boot: b1\r\nContent-Length: 3\r\n"
    b"Connection: keep-alive\r\n\r\n{}\n"
)
SECOND = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_a_request() -> None:
    assert render("PUT", "/playlists/s/source", "ä\n", {"X-Msn": 4, "X-Ended": 0}) == (
        b"PUT /playlists/s/source HTTP/1.1\r\nHost: edge\r\nContent-Length: 3\r\n"
        b"X-Msn: 4\r\nX-Ended: 0\r\n\r\n\xc3\xa4\n"
    )


@given(st.integers(1, 60))
def test_answers_in_any_chunking(size: int) -> None:
    data = FIRST + SECOND + FIRST
    parser = ResponseParser()
    found = [r for at in range(0, len(data), size) for r in parser.feed(data[at : at + size])]
    assert [(r.status, r.body, r.closes) for r in found] == [
        (200, b"{}\n", False),
        (507, b"", True),
        (200, b"{}\n", False),
    ]
    assert found[0].headers["x-edge-boot"] == "b1"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"x" * (MAX_HEAD + 1),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(ResponseError):
        ResponseParser().feed(data)


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_noise_raises_nothing_else(chunks: list[bytes]) -> None:
    parser = ResponseParser()
    try:
        for chunk in chunks:
            parser.feed(chunk)
    except ResponseError:
        pass
