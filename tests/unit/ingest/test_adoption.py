"""What is left of a session, by its notes and by what nginx says."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ingest.adoption import read_notes
from ingest.nginx import Stat
from ingest.publisher import MediaFolder
from ingest.session import Phase

PUBLISHER = {"boot": "b1", "client": 4, "name": "s1-x", "key_id": 9, "order": 20}
IDENTITY = {
    "stream_id": 3,
    "channel_id": 7,
    "login": "alice",
    "started_at": "2030-01-01T00:00:00+00:00",
    "phase": "live",
    "publisher": PUBLISHER,
}
THERE = Stat("b1", {"s1-x": 4}, {})


def folder(tmp_path: Path, identity: Any, age_s: float = 0) -> MediaFolder:
    media = MediaFolder(tmp_path, 1 << 20)
    media.make("s1")
    path = tmp_path / "s1" / "session.json"
    path.write_text(json.dumps({"session": {"identity": identity}, "packager": None}))
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return media


def test_a_session_whose_publisher_is_still_there_goes_on(tmp_path: Path) -> None:
    left = read_notes(folder(tmp_path, IDENTITY), "s1", THERE, 60, 1000.0)
    assert left and left.publisher_there
    assert left.session.phase is Phase.LIVE
    assert left.session.publisher and left.session.publisher.name == "s1-x"
    assert (left.login, left.stream_id, left.session.channel_id) == ("alice", 3, 7)
    assert left.session.deadline is None


@pytest.mark.parametrize(
    "stat",
    [None, Stat("b2", {"s1-x": 4}, {}), Stat("b1", {"s1-x": 5}, {}), Stat("b1", {}, {})],
)
def test_one_whose_publisher_is_gone_waits_for_the_rest_of_its_grace(
    tmp_path: Path, stat: Stat | None
) -> None:
    left = read_notes(folder(tmp_path, IDENTITY, age_s=20), "s1", stat, 60, 1000.0)
    assert left and not left.publisher_there
    assert left.session.phase is Phase.RECONNECTING
    assert left.session.deadline == pytest.approx(1040, abs=1)


@pytest.mark.parametrize(
    "identity",
    [{**IDENTITY, "phase": "ended"}, {}, None, [], {**IDENTITY, "stream_id": None}],
)
def test_one_that_had_ended_or_says_nothing_is_left(tmp_path: Path, identity: Any) -> None:
    assert read_notes(folder(tmp_path, identity), "s1", THERE, 60, 1000.0) is None


def test_no_notes(tmp_path: Path) -> None:
    assert read_notes(MediaFolder(tmp_path, 1000), "s1", THERE, 60, 1000.0) is None
