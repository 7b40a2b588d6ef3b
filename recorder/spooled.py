"""The spool as recorder reads it (core.spool). Everything here blocks and belongs into a thread."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.logs import logger
from core.spool import END_FILE, SOURCE_FILE, End, SegmentNote, Source

log = logger(__name__)

DAMAGED = ".damaged"


@dataclass(frozen=True, slots=True)
class Spooled:
    """A segment that waits; `note_path` and `path` are its files."""

    rendition: str
    note: SegmentNote
    path: Path
    note_path: Path


class Damaged(Exception):
    """A file in the spool is not what its note says."""


def sessions(root: Path) -> list[str]:
    """Every session that has something in the spool."""
    if not root.is_dir():
        return []
    return [folder.name for folder in root.iterdir() if folder.is_dir()]


def read_source(folder: Path) -> Source | None:
    """What a session's spool holds; None while that is not known."""
    try:
        return Source.decode((folder / SOURCE_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.error("spool_unreadable", session=folder.name, error=str(error))
        return None


def read_end(folder: Path) -> End | None:
    """Why nothing more will come; None while something may."""
    try:
        return End.decode((folder / END_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.error("spool_unreadable", session=folder.name, error=str(error))
        return End()


def waiting(folder: Path) -> list[Path]:
    """The notes of the segments that wait, in the order of their numbers."""
    notes = (path for path in folder.glob("*/*.json") if path.stem.isdigit())
    return sorted(notes, key=lambda path: (int(path.stem), path.parent.name))


def read(notes: Iterable[Path]) -> list[Spooled]:
    """The segments of these notes; one that cannot be read is put aside."""
    items = []
    for path in notes:
        try:
            note = SegmentNote.decode(path.read_bytes())
        except FileNotFoundError:
            continue
        except ValueError as error:
            log.error("spool_damaged", path=str(path), error=str(error))
            path.rename(path.with_name(f"{path.name}{DAMAGED}"))
            continue
        items.append(Spooled(path.parent.name, note, path.with_suffix(".m4s"), path))
    return items


def media(item: Spooled) -> bytes:
    """The bytes of a segment. Raises Damaged."""
    try:
        data = item.path.read_bytes()
    except FileNotFoundError as error:
        raise Damaged("its media is missing") from error
    if len(data) != item.note.size or hashlib.sha256(data).hexdigest() != item.note.sha256:
        raise Damaged("its media is not what was written")
    return data


def remove(item: Spooled) -> None:
    """A segment that is stored. Without its note the media is nothing."""
    item.note_path.unlink(missing_ok=True)
    item.path.unlink(missing_ok=True)


def put_aside(item: Spooled) -> None:
    """A segment that is damaged: kept for whoever looks into it."""
    for path in (item.note_path, item.path):
        with contextlib.suppress(FileNotFoundError):
            path.rename(path.with_name(f"{path.name}{DAMAGED}"))


def clear(folder: Path) -> None:
    """Remove a session."""
    shutil.rmtree(folder, ignore_errors=True)
