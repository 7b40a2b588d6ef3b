"""Rows and frames are the same message; weeks are partitions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chat import wire
from chat.history import frame_of, row_of, week_of
from chat.store import Logged
from core.db.models import ChatMessage

FRAME = {
    "type": "message",
    "offset": 12,
    "ts": "2026-03-01T10:20:30.123Z",
    "channel": "chan",
    "id": "123e4567-e89b-12d3-a456-426614174000",
    "user": {"id": "7", "login": "ann", "name": "Ann", "color": "#FF0000", "badges": ["vip/1"]},
    "text": "hi @bob Wave",
    "kind": "chat",
    "emotes": [{"id": "3", "code": "Wave", "start": 8, "end": 11}],
    "mentions": ["bob"],
    "reply_to": {"id": "x", "user": {"login": "bob", "name": "Bob"}, "text": "hm"},
    "first": True,
}


def test_a_frame_survives_being_kept() -> None:
    row = row_of(5, Logged(12, wire.encode(FRAME)))
    assert (row["channel_id"], row["offset"], row["user_id"]) == (5, 12, 7)
    assert frame_of(ChatMessage(**row)) == FRAME


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))
def test_every_moment_is_in_one_week(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    name, start, end = week_of(at)
    assert start <= at < end
    assert end - start == timedelta(weeks=1)
    assert start.weekday() == 0
    assert week_of(end)[0] > name
    assert week_of(start)[0] == name
