"""A session that dies and goes on in another process: nothing that was public is contradicted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.packager import LiveStream, PackagerConfig, PlaylistReady
from ingest.packager.memory import Forgotten, Json, Notebook, restore, updated
from tests import playlist_validator
from tests.packager_kit import Session, Synthetic, picture

VIDEO = 1


def snapshot(stream: LiveStream) -> Json | None:
    entry = Notebook(stream).entry()
    return json.loads(entry.text) if entry else None


def kill(session: Session) -> None:
    """Everything in memory is gone but what was written down, and the files."""
    state = snapshot(session.stream)
    if state is None:
        session.stream = LiveStream(PackagerConfig(), "s1")
        session.stream.add_rendition("source", audio_only_sibling="audio")
        return
    session.stream, events = restore(
        PackagerConfig(), "s1", state, lambda name, file: session[name].files[file]
    )
    session.keep(events)


@settings(max_examples=60, deadline=None)
@given(
    lives=st.lists(st.floats(0.3, 7), min_size=1, max_size=3),
    gop=st.sampled_from([15, 30, 60, 75]),
    audio=st.booleans(),
)
def test_whenever_it_dies_the_next_life_goes_on(lives: list[float], gop: int, audio: bool) -> None:
    session = Session()
    shown = 0
    listed = 0
    for seconds in lives:
        synthetic = Synthetic(gop=gop, audio=audio, first_picture=shown, first_sound=shown * 2)
        session.feed(synthetic.prologue(), ms=700)
        session.play(synthetic.tags(seconds))
        shown += 1000
        listed += bool(session["source"].playlists)
        kill(session)
    session.end()
    session.check()
    # One discontinuity a death, as far as there was anything before it to be discontinuous with.
    marks = [segment for segment in session["source"].segments if segment.discontinuity]
    assert len(marks) <= max(0, listed - 1)
    msns = [segment.msn for segment in session["source"].segments]
    assert msns == list(range(1, len(msns) + 1))


def test_the_open_segment_is_closed_from_its_parts() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(4.7))
    before = session["source"].playlists[-1]
    assert before.msn > before.complete_msn
    kill(session)
    after = session["source"].playlists[-1]
    assert after.complete_msn == before.msn
    last = session["source"].segments[-1]
    assert last.msn == before.msn and len(last.parts) == before.part + 1
    shown = [sample.data for sample in session["source"].samples()[VIDEO]]
    assert shown == [picture(n) for n in range(len(shown))]
    assert len(shown) > 4.4 * 30


def test_rungs_go_on_with_the_sources_numbers() -> None:
    session = Session()
    session.stream.add_rendition("480p")
    for name in ("source", "480p"):
        session.feed(Synthetic().prologue(), name)
    for time, data in Synthetic().tags(6.5):
        session.feed(data, ms=33 if time else 0)
        session.feed(data, "480p")
    kill(session)
    for name in ("source", "480p"):
        session.feed(Synthetic(first_picture=500).prologue(), name)
    for _, data in Synthetic(first_picture=500).tags(6.5):
        session.feed(data, ms=33)
        session.feed(data, "480p")
    session.end()
    session.check()
    source, rung = session["source"], session["480p"]
    assert [s.msn for s in source.segments] == [s.msn for s in rung.segments]
    sequences = {
        playlist_validator.parse_media(p[-1].text).discontinuity_sequence
        for p in (source.playlists, rung.playlists)
    }
    assert len(sequences) == 1


def test_a_restored_session_announces_everything_again() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(6))
    session.cut()
    state = snapshot(session.stream)
    assert state is not None
    _, events = restore(PackagerConfig(), "s1", state, lambda name, file: session[name].files[file])
    announced = {event.rendition for event in events if isinstance(event, PlaylistReady)}
    assert announced == {"source", "audio"}


def test_nothing_is_remembered_before_the_first_segment() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(0.5))
    assert snapshot(session.stream) is None


@pytest.mark.parametrize("damage", [{"version": 0}, {"renditions": [{}]}, {"targets": None}])
def test_a_snapshot_of_no_use_is_told(damage: dict[str, object]) -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(3))
    state = snapshot(session.stream)
    assert state is not None
    with pytest.raises(Forgotten):
        restore(PackagerConfig(), "s1", {**state, **damage}, lambda name, file: b"")


def test_files_that_are_gone_are_told() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    session.play(Synthetic().tags(3))

    def gone(name: str, file: str) -> bytes:
        raise FileNotFoundError(file)

    with pytest.raises(Forgotten):
        restore(PackagerConfig(), "s1", snapshot(session.stream) or {}, gone)


def test_entries_add_up_to_what_a_new_notebook_says() -> None:
    session = Session()
    session.feed(Synthetic().prologue())
    notebook = Notebook(session.stream)
    state: Json = {}
    wholes = shorts = 0
    for _, data in Synthetic().tags(40):
        session.feed(data, ms=20)
        entry = notebook.entry()
        if entry is None:
            continue
        wholes += entry.whole
        shorts += not entry.whole
        state = json.loads(entry.text) if entry.whole else updated(state, json.loads(entry.text))
        assert state == snapshot(session.stream)
    # All of it is written with segments only.
    assert 0 < wholes < shorts / 4
