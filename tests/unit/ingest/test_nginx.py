"""nginx-rtmp's status page, with what strangers can put into it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from ingest.nginx import Traffic, parse_stat
from ingest.nginx_metrics import NginxMetrics

PAGE = b"""<?xml version="1.0" encoding="utf-8" ?>
<rtmp><pid>15284</pid><uptime>3</uptime><naccepted>7</naccepted><bw_in>9</bw_in><bytes_in>1000</bytes_in>
<bytes_out>3000</bytes_out><server><application><name>live</name><live>
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
    assert stat.traffic == Traffic(7, 1000, 3000, 3)


def test_prometheus_is_told() -> None:
    registry = CollectorRegistry()
    metrics = NginxMetrics(registry)

    def lines() -> list[str]:
        text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
        return [line for line in text.decode().splitlines() if line[0] != "#"]

    assert lines() == ["footlight_rtmp_up 0.0"]
    metrics.answered(parse_stat("b", PAGE))
    assert {"footlight_rtmp_up 1.0", "footlight_rtmp_publishers 1.0"} <= set(lines())
    assert {"footlight_rtmp_players 2.0", "footlight_rtmp_received_bytes_total 1000.0"} <= set(
        lines()
    )
    metrics.answered(None)
    assert lines() == ["footlight_rtmp_up 0.0"]


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
