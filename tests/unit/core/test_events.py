"""Events on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from core.events import Event, StreamKeyRevoked, StreamStarted, decode


def test_there_and_back() -> None:
    event = StreamStarted(
        stream_id=1,
        channel_id=2,
        login="ann",
        session="s",
        node="n",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert event.subject == "footlight.events.stream.started"
    assert decode(event.subject, event.model_dump_json().encode()) == event


def test_a_newer_release_may_say_more() -> None:
    payload = json.dumps({"key_id": 1, "channel_id": 2, "why": "theft"}).encode()
    assert decode(StreamKeyRevoked.subject, payload) == StreamKeyRevoked(key_id=1, channel_id=2)
    assert decode("footlight.events.something.new", b"{}") is None


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"{}", b'{"key_id": "x"}', b"\xff"])
def test_garbage_is_an_error(payload: bytes) -> None:
    with pytest.raises(ValueError):
        decode(StreamKeyRevoked.subject, payload)


def test_every_event_has_a_subject_of_its_own() -> None:
    subjects = [kind.subject for kind in Event.kinds()]
    assert len(subjects) == len(set(subjects)) >= 9
    assert all(subject.startswith("footlight.events.") for subject in subjects)
