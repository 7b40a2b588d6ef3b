"""Stream keys: their form, and what is stored of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.stream_keys import StreamKey, new_secret, parse

PEPPER = b"p" * 32


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_parse_is_the_inverse_of_text(key_id: int) -> None:
    key = StreamKey(key_id, new_secret())
    assert parse(key.text) == key


@given(st.text())
def test_whatever_is_parsed_has_exactly_the_form(text: str) -> None:
    key = parse(text)
    assert key is None or key.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "live_",
        "live_1_",
        f"live_0_{'a' * 24}",
        f"live_01_{'a' * 24}",
        f"live_1_{'a' * 23}",
        f"live_1_{'a' * 25}",
        f"live_1_{'a' * 24}\n",
        f" live_1_{'a' * 24}",
        f"live_1_{'a' * 24}?x=1",
        f"live_-1_{'a' * 24}",
        f"live_\u0661_{'a' * 24}",
        f"live_{'9' * 19}_{'a' * 24}",
        f"live_1_{'a' * 22}/.",
        f"LIVE_1_{'a' * 24}",
    ],
)
def test_other_forms_are_no_keys(text: str) -> None:
    assert parse(text) is None


def test_a_digest_belongs_to_key_and_pepper() -> None:
    key = StreamKey(7, "A" * 24)
    stored = key.digest(PEPPER)
    assert len(stored) == 32
    assert key.matches(stored, PEPPER)
    assert not key.matches(stored, b"q" * 32)
    assert not StreamKey(7, "A" * 23 + "B").matches(stored, PEPPER)
    # The id is part of it: a key cannot be passed off as another's.
    assert not StreamKey(8, "A" * 24).matches(stored, PEPPER)


def test_repr_hides_the_secret() -> None:
    assert "AAAA" not in repr(StreamKey(7, "A" * 24))


def test_secrets_differ() -> None:
    assert len({new_secret() for _ in range(1000)}) == 1000
