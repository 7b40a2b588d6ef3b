"""Settings: videos, uploads, and the jobs behind them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

# No size that is asked for is larger: a pebibyte, which JavaScript still counts exactly.
MOST_BYTES = 2**50


class Videos(BaseModel):
    """Videos, uploads, and the jobs behind them."""

    recording: bool = Field(default=True, description="Whether broadcasts become videos.")
    spool_dir: Path | None = Field(
        default=None,
        description=(
            "Folder in which segments wait for the object storage; on a disk, not in memory. "
            "Default: `spool` in the data folder."
        ),
    )
    spool_quota_bytes: int = Field(
        default=20 * 1024 * 1024 * 1024,
        ge=16 * 1024 * 1024,
        description="Most that may wait there, bytes; never more than four fifths of what is free. "
        "Near it no new recording begins.",
    )
    archive_uploads: int = Field(
        default=8, ge=1, le=64, description="Segments that `recorder` uploads at once."
    )
    archive_sweep_s: float = Field(
        default=3.0,
        gt=0,
        description="How often `recorder` looks for segments that nobody announced, seconds.",
    )
    storage_public_url: str = Field(
        default="",
        description=(
            "Where viewers get the objects of public and unlisted videos instead of the edge: a CDN "
            "or a public bucket, as `https://cdn.example`. Empty: through the edge."
        ),
    )
    video_cache_bytes: int = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=64 * 1024 * 1024,
        description="Most that an edge keeps of videos on its disk, bytes.",
    )
    playback_token_s: int = Field(
        default=600,
        ge=60,
        le=86400,
        description="How long the address of a video that is not public works, seconds.",
    )
    video_retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description=(
            "Days after which recorded broadcasts are removed where the channel sets no other "
            "number; 0: kept for good."
        ),
    )
    video_channel_quota_bytes: int = Field(
        default=0,
        ge=0,
        le=MOST_BYTES,
        description=(
            "Most that a channel's videos may take, bytes; past it its oldest broadcasts are "
            "removed. 0: no limit."
        ),
    )
    trash_days: float = Field(
        default=7.0, ge=0, le=3650, description="Days for which a deleted video can be restored."
    )
    retention_interval_s: float = Field(
        default=60.0, gt=0, description="How often videos are looked through for removal, seconds."
    )
    storyboard_interval_s: float = Field(
        default=10.0,
        ge=1,
        description="One picture of a video's hover preview stands for so long, seconds.",
    )
    worker_jobs: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Jobs (transcoding, exports) that one `worker` works on at once; 0: none.",
    )
    recorder_works: bool = Field(
        default=False,
        description=(
            "Whether `recorder` works on jobs as a `worker` does, so that none has to run. `up` "
            "sets it."
        ),
    )
    job_lease_s: float = Field(
        default=30.0,
        gt=0,
        description="A job whose worker is not heard of for so long is given to another, seconds.",
    )
    upload_max_bytes: int = Field(
        default=50 * 1024 * 1024 * 1024,
        ge=1,
        le=MOST_BYTES,
        description="Largest file that may be uploaded, bytes.",
    )
    upload_parallel: int = Field(
        default=4, ge=1, le=1000, description="Uploads that an account may have under way at once."
    )
    upload_quota_bytes: int = Field(
        default=0,
        ge=0,
        le=MOST_BYTES,
        description=(
            "Most that a channel's videos and the uploads under way may take together for another "
            "upload to begin, bytes. 0: no limit."
        ),
    )
    upload_expires_s: float = Field(
        default=7 * 86400.0,
        gt=0,
        description="An upload that has not gone on for so long is forgotten, seconds.",
    )
    export_link_days: float = Field(
        default=7.0, gt=0, le=3650, description="Days for which the link to an export works."
    )
