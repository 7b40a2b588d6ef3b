"""Files in the spool (core.spool): whole ones by a rename, on the disk itself (fsync). All of it blocks."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from core.spool import OPEN, PARTIAL, SegmentNote
from ingest.packager import SegmentReady


def whole(path: Path, data: bytes) -> None:
    """A file with `data`, or none; on the disk when this returns."""
    partial = f"{path}{PARTIAL}"
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    except OSError:
        os.unlink(partial)
        raise
    finally:
        os.close(file)
    os.rename(partial, path)


def init(path: Path, data: bytes) -> None:
    """An initialization section, unless it is there."""
    if not path.exists():
        _make(path.parent)
        whole(path, data)


def segment(path: Path, ready: SegmentReady) -> None:
    """The media first, then the note that it is there; a segment that has one is left alone."""
    note_path = path.with_name(f"{path.stem if path.suffix == '.m4s' else path.name}.json")
    if note_path.exists():
        return
    note = SegmentNote(
        msn=ready.msn,
        start_s=ready.start,
        duration_s=ready.duration,
        pdt=ready.program_date_time,
        discontinuity=ready.discontinuity,
        init=ready.init_name,
        size=len(ready.data),
        sha256=hashlib.sha256(ready.data).hexdigest(),
    )
    _make(path.parent)
    whole(path, ready.data)
    whole(note_path, note.encode())


def forget_open(folder: Path) -> None:
    """Somebody goes on with this session: remove the open segments that were left for nobody."""
    for path in folder.glob(f"*/*{OPEN}*"):
        path.unlink()


def promote(folder: Path) -> None:
    """Nobody goes on: open segments are whole, unless the real ones came first."""
    for note in folder.glob(f"*/*{OPEN}.json"):
        media = note.with_suffix("")
        number = media.name.removesuffix(OPEN)
        if not note.with_name(f"{number}.json").exists():
            media.rename(media.with_name(f"{number}.m4s"))
            note.rename(note.with_name(f"{number}.json"))


def measure(root: Path) -> tuple[int, float | None]:
    """Bytes of all files below a folder, and when the oldest segment of them was written (Unix seconds)."""
    total = 0
    oldest: float | None = None
    pending = [str(root)]
    while pending:
        # Recorder removes files and folders meanwhile.
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        stat = entry.stat(follow_symlinks=False)
                        total += stat.st_size
                        if entry.name.endswith(".m4s") and (
                            oldest is None or stat.st_mtime < oldest
                        ):
                            oldest = stat.st_mtime
    return total, oldest


def _make(folder: Path) -> None:
    """A rendition's folder. Raises FileNotFoundError for a session that was thrown away."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
