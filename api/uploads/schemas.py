"""JSON of uploads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from api.operations import PREFIX, Model
from core.db.video_models import Job, JobState, Upload, UploadState, Video, VideoStatus


class UploadProblem(Model):
    """Why no video became of it."""

    code: str
    message: str
    retry: bool = Field(
        default=False,
        description="Whether the file is kept and may be tried again (`/videos/{id}/retry`).",
    )


class UploadView(Model):
    """An upload, and what becomes of it."""

    id: str
    url: str = Field(description="For tus: HEAD, PATCH and DELETE go here.")
    video_id: str | None
    name: str = Field(description="The file's.")
    size: int
    received: int
    state: Literal["receiving", "waiting", "processing", "done", "failed", "cancelled"]
    progress: float = Field(description="Of processing, 0 to 1.")
    error: UploadProblem | None
    created_at: datetime
    expires_at: datetime = Field(description="When it is forgotten unless it goes on.")

    @classmethod
    def of(cls, upload: Upload, video: Video | None, job: Job | None) -> UploadView:
        """From its rows."""
        return cls.model_validate(
            {
                "id": str(upload.id),
                "url": f"{PREFIX}/uploads/{upload.id}",
                "video_id": None if upload.video_id is None else str(upload.video_id),
                "name": upload.name,
                "size": upload.size,
                "received": upload.received,
                "state": _state(upload, video, job),
                "progress": round(job.progress, 3) if job is not None else 0.0,
                "error": video.error if video is not None else None,
                "created_at": upload.created_at,
                "expires_at": upload.expires_at,
            }
        )


def _state(upload: Upload, video: Video | None, job: Job | None) -> str:
    if upload.state != UploadState.COMPLETE:
        return upload.state
    if video is not None and video.status in (VideoStatus.READY, VideoStatus.FAILED):
        return "done" if video.status == VideoStatus.READY else "failed"
    return "processing" if job is not None and job.state == JobState.RUNNING else "waiting"


class Uploads(Model):
    """Uploads of the last days, the newest first."""

    items: list[UploadView]
    next_cursor: None = None

    @classmethod
    def of(cls, rows: Sequence[tuple[Upload, Video | None, Job | None]]) -> Uploads:
        """From their rows."""
        return cls(items=[UploadView.of(*row) for row in rows])
