"""What is a link, however it is written."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.links import hosts, is_permitted


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://Example.COM/x?y", ["example.com"]),
        ("example.com", ["example.com"]),
        ("(www.foo)", ["www.foo"]),
        ("discord.gg/abc and t.me/x", ["discord.gg", "t.me"]),
        ("example[.]com or example (dot) org", ["example.com", "example.org"]),
        ("example dot com", ["example.com"]),
        ("ＥＸＡＭＰＬＥ．ＣＯＭ", ["example.com"]),
        ("exa\u200bmple.com", ["example.com"]),
        (
            "münchen.de пример.рф xn--mnchen-3ya.de",
            ["münchen.de", "пример.рф", "xn--mnchen-3ya.de"],
        ),
        ("https://user:pw@host.com/x", ["host.com"]),
        ("10.0.0.1:80 http://10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("ftp://[::1]/", ["[::1]"]),
        ("main.rs/x", ["main.rs"]),
    ],
)
def test_a_link(text: str, found: list[str]) -> None:
    assert hosts(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "main.rs",
        "node.js",
        "do.it",
        "e.g. this",
        "1.2.3.4",
        "v1.2.3",
        "end.So what",
        "3.50",
        "a dot product",
    ],
)
def test_no_link(text: str) -> None:
    assert hosts(text) == []


def test_what_is_below_a_permitted_host_is_permitted() -> None:
    permitted = {"example.com"}
    assert is_permitted("example.com", permitted)
    assert is_permitted("a.b.example.com", permitted)
    assert not is_permitted("badexample.com", permitted)
    assert not is_permitted("com", permitted)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    assert all(host and " " not in host for host in hosts(text))


@pytest.mark.parametrize(
    "piece", ["a.", "a-", "[ ", " dot", "a@", "a", "://", "h://", "_a", "1.", "[:"]
)
def test_time_grows_with_the_text(piece: str) -> None:
    def cost(length: int) -> float:
        text = (piece * length)[:length]
        samples = []
        for _ in range(5):
            began = time.process_time()
            hosts(text)
            samples.append(time.process_time() - began)
        return min(samples)

    assert cost(20_000) < 40 * max(cost(2_000), 50e-6)
