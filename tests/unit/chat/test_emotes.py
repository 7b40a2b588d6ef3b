"""Emotes and mentions in a text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.emotes import find, mentions, only

CODES = {"Wave": 3, "Clap": 4}


def test_positions_count_code_points() -> None:
    assert find("🎉 Wave, Wave", CODES) == [{"id": "3", "code": "Wave", "start": 8, "end": 11}]
    assert find("waves Wave", {}) == []


@given(st.lists(st.sampled_from(["Wave", "Clap", "x", "é🎉"]), max_size=8))
def test_what_is_found_is_there(words: list[str]) -> None:
    text = "  ".join(words)
    found = find(text, CODES)
    assert [each["code"] for each in found] == [word for word in words if word in CODES]
    assert all(text[each["start"] : each["end"] + 1] == each["code"] for each in found)
    assert only(text, CODES) == (bool(words) and all(word in CODES for word in words))


def test_mentions() -> None:
    assert mentions("@Ann and @bob_1, mail@example.org @@x1y @ann @no") == ["ann", "bob_1"]
