"""Who may see a video, where it is for them, and how words are searched for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from api.videos.addresses import AddressBook
from api.videos.queries import has_words
from api.videos.schemas import VideoBody
from api.videos.sight import Sight, sight
from core.db.video_models import Video

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWNER, OTHER = 7, 8
BOOK = AddressBook(b"k" * 32, 600)


def video(**columns: Any) -> Video:
    values: dict[str, Any] = {
        "id": 42,
        "channel_id": OWNER,
        "status": "ready",
        "visibility": "public",
        "published_at": NOW,
        "poster": {"version": 2},
        "storyboard": {},
    }
    return Video(**{**values, **columns})


@pytest.mark.parametrize(
    ("columns", "owner", "other"),
    [
        ({}, Sight.OPEN, Sight.OPEN),
        ({"status": "live"}, Sight.OPEN, Sight.OPEN),
        ({"visibility": "unlisted"}, Sight.OPEN, Sight.OPEN),
        ({"visibility": "private"}, Sight.TOKEN, None),
        ({"published_at": None}, Sight.TOKEN, None),
        ({"published_at": NOW + timedelta(seconds=1)}, Sight.TOKEN, None),
        ({"trashed_at": NOW}, Sight.TOKEN, None),
        ({"status": "processing"}, Sight.TOKEN, None),
        ({"status": "failed"}, Sight.TOKEN, None),
        ({"purged_at": NOW, "trashed_at": NOW}, None, None),
        ({"purged_at": NOW}, None, None),
    ],
)
def test_sight(columns: dict[str, Any], owner: Sight | None, other: Sight | None) -> None:
    row = video(**columns)
    assert sight(row, OWNER, NOW) is owner
    assert sight(row, OTHER, NOW) is other
    assert sight(row, None, NOW) is other


def test_addresses() -> None:
    found = BOOK.of(video(storyboard={"count": 1}), "ann", NOW)
    assert found.playback == "/vod/42/index.m3u8"
    assert found.thumbnail == "/vod/42/poster.jpg?v=2"
    assert found.storyboard == "/vod/42/storyboard.vtt"
    assert found.expires_at is None
    private = video(visibility="private")
    found = BOOK.of(private, "ann", NOW)
    assert found.expires_at == NOW + timedelta(seconds=600)
    assert found.playback is not None and found.playback.startswith("/vod/~1767226200.42.")
    assert BOOK.for_anybody(private, "ann", NOW).playback is None
    assert BOOK.of(video(status="processing"), "ann", NOW).playback is None


def test_a_running_stream_has_a_picture_before_its_video_has_one() -> None:
    times = [NOW, NOW + timedelta(seconds=29), NOW + timedelta(seconds=30)]
    first, second, third = (
        BOOK.of(video(status="live", poster={}), "ann", now).thumbnail for now in times
    )
    assert first == second == "/live/ann/thumbnail.jpg?t=1767225600"
    assert third != first
    assert BOOK.of(video(poster={}), "ann", NOW).thumbnail is None


def wanted(words: str) -> str:
    compiled = has_words(words).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    (value,) = compiled.params.values()
    return str(value)


def test_words() -> None:
    assert wanted("co-op night") == "'co-op' & 'night':*"
    assert wanted("king's  gambit") == "'king s' & 'gambit':*"
    assert wanted(" ' \\ ") == ""
    assert wanted("a b c d e f g h i j").count("&") == 7


@given(st.text(max_size=100))
def test_no_text_ends_its_quotes(text: str) -> None:
    query = wanted(text)
    assert "\\" not in query
    assert query.count("'") % 2 == 0
    inside = query.removesuffix(":*").split("'")[1::2]
    assert all(word.strip() for word in inside)
    assert set(query.removesuffix(":*").split("'")[::2]) <= {"", " & "}


def test_changes_are_what_was_given() -> None:
    body = VideoBody.model_validate_json('{"title": null, "category": null, "visibility": null}')
    assert body.changes() == {"title": "", "category": None}
    body = VideoBody.model_validate_json(
        '{"published_at": "2026-01-01T01:00:00+01:00", "tags": ["B"]}'
    )
    assert body.changes() == {"published_at": "2026-01-01T00:00:00+00:00", "tags": ["b"]}
    assert VideoBody.model_validate_json("{}").changes() == {}
