"""Every kind of job and how it is done."""

from __future__ import annotations

from core.db.engine import Database
from core.settings import Settings
from core.storage import Storage
from recorder.exports import Export
from recorder.jobs import Kind, Undo
from recorder.transcode import Transcode
from recorder.workers import Craft


def crafts(settings: Settings, database: Database, storage: Storage) -> dict[str, Craft]:
    """What a worker can do."""
    ffmpeg = str(settings.ffmpeg_path)
    return {
        Kind.TRANSCODE: Transcode(database, storage, ffmpeg),
        Kind.EXPORT_MP4: Export("mp4", database, storage, ffmpeg),
        Kind.EXPORT_MP3: Export("mp3", database, storage, ffmpeg),
    }


def undo(known: dict[str, Craft]) -> dict[str, Undo]:
    """What is changed when a job of a kind is given up or cancelled."""
    return {kind: craft.undo for kind, craft in known.items()}
