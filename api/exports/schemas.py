"""JSON of exports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from api.operations import PREFIX, Input, Model, Query
from core.db.video_models import Job, JobState

FORMATS = {"mp4": "export_mp4", "mp3": "export_mp3"}
_FORMAT_OF = {kind: name for name, kind in FORMATS.items()}


class NewExport(Input):
    """What is asked for."""

    format: Literal["mp4", "mp3"] = Field(
        description="`mp4`: the best rendition as it was stored. `mp3`: its sound, 192 kb/s."
    )


class LinkQuery(Query):
    """What an e-mailed link carries."""

    link: str | None = Field(
        default=None, max_length=200, description="From the e-mail; instead of a login."
    )


class ExportProblem(Model):
    """Why an export failed."""

    code: str
    message: str


class ExportView(Model):
    """An export."""

    id: str
    video_id: str
    format: Literal["mp4", "mp3"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(description="0 to 1.")
    size: int | None = Field(description="Bytes, once it is done.")
    download_url: str | None = Field(description="Once it is done, and until `expires_at`.")
    error: ExportProblem | None
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None = Field(description="When the file of one that is done goes.")

    @classmethod
    def of(cls, row: Job, keep_days: float) -> ExportView:
        """From its row."""
        there = row.state == JobState.DONE and "key" in row.result
        expires_at = None
        if there and row.ended_at is not None:
            expires_at = row.ended_at + timedelta(days=keep_days)
        return cls.model_validate(
            {
                "id": str(row.id),
                "video_id": str(row.video_id),
                "format": _FORMAT_OF[row.kind],
                "state": row.state,
                "progress": round(row.progress, 3),
                "size": row.result.get("size") if there else None,
                "download_url": f"{PREFIX}/exports/{row.id}/download" if there else None,
                "error": row.error,
                "created_at": row.created_at,
                "ended_at": row.ended_at,
                "expires_at": expires_at,
            }
        )


class Exports(Model):
    """The exports of a video, the newest first."""

    items: list[ExportView]
    next_cursor: None = None

    @classmethod
    def of(cls, rows: Sequence[Job], keep_days: float) -> Exports:
        """From their rows."""
        return cls(items=[ExportView.of(row, keep_days) for row in rows])
