"""Recordings of sessions that nobody goes on with, after a restart: their last segments, and their end."""

from __future__ import annotations

from collections.abc import Iterable

from core.logs import logger
from core.spool import SOURCE_FILE
from ingest.broadcast import STATE_FILE, packager_config, read_state
from ingest.kit import Kit
from ingest.packager.memory import restore
from ingest.tape import Tape

log = logger(__name__)


def finish_all(kit: Kit, sessions: Iterable[str]) -> None:
    """End these recordings, which an earlier life of this process began. Blocks."""
    for session in sessions:
        log.warning("recording_ended_late", session=session)
        finish(kit, session)


def finish(kit: Kit, session: str) -> None:
    """End a recording: what is published of its open segments is its last."""
    tape = Tape(kit, session)
    recording = tape.take_over()
    if recording is None:
        return
    folder = kit.media.root / session
    try:
        kept = read_state((folder / STATE_FILE).read_text())
        live, events = restore(
            packager_config(kit.settings),
            session,
            kept["packager"],
            lambda rendition, name: (folder / rendition / name).read_bytes(),
        )
        targets = int(kept["packager"]["targets"][0])
        tape.identify(kept["session"]["identity"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        # The machine was restarted, or the whole instance: what its ingest left when it stopped.
        log.info("session_not_there", session=session, reason=repr(error))
        recording.promote()
    else:
        tape.recall(folder, live, events)
        for event in events:
            tape.store(event)
        if not (recording.folder / SOURCE_FILE).exists():
            tape.describe(live, targets)
    tape.end()
