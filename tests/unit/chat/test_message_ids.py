"""Ids of messages."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime

import pytest

from chat.message_ids import new_message_id


def test_an_id_tells_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_message_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_of_one_millisecond_sort_as_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    moments = iter(range(start, start + 1_000_000, 250))
    monkeypatch.setattr("chat.message_ids.time.time_ns", lambda: next(moments))
    made = [uuid.UUID(new_message_id()) for _ in range(4000)]
    assert made == sorted(made)
    assert {each.int >> 80 for each in made} == {start // 10**6}


def test_no_two_are_the_same() -> None:
    assert len({new_message_id() for _ in range(10_000)}) == 10_000
