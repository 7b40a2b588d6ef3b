"""nginx-rtmp's status page, with what strangers can put into it."""

from __future__ import annotations

import pytest

from ingest.nginx import parse_stat

PAGE = b"""<?xml version="1.0" encoding="utf-8" ?>
<rtmp><pid>15284</pid><uptime>3</uptime><server><application><name>live</name><live>
<stream><name>s1-a</name><time>1728</time>
<client><id>1</id><address>127.0.0.1</address><flashver>FMLE/3.0 %s</flashver><publishing/></client>
<client><id>5</id><address>127.0.0.1</address><flashver>LNX 9,0,124,2</flashver></client>
<publishing/><active/></stream>
<stream><name>s2-b</name><client><id>9</id></client></stream>
</live></application></server></rtmp>
"""


def test_publishers_and_players() -> None:
    stat = parse_stat("b1-7", PAGE.replace(b"%s", b""))
    assert stat.boot == "b1-7"
    assert stat.publishers == {"s1-a": 1}
    assert stat.players == {"s1-a": {5}, "s2-b": {9}}


@pytest.mark.parametrize("odd", [b"\x00\x01\x1f", b"\xff\xfe", "ä€".encode()])
def test_what_a_client_calls_itself_does_not_blind_us(odd: bytes) -> None:
    assert parse_stat("b", PAGE.replace(b"%s", odd)).publishers == {"s1-a": 1}


def test_nobody() -> None:
    stat = parse_stat("b", b"<rtmp></rtmp>")
    assert stat.publishers == {} and stat.players == {}


@pytest.mark.parametrize("page", [b"", b"<html>", b"502 Bad Gateway"])
def test_another_page(page: bytes) -> None:
    with pytest.raises(ValueError, match="not a stat page"):
        parse_stat("b", page)
