"""Settings: live streams."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field


class Live(BaseModel):
    """Live streams."""

    ffmpeg_path: Path = Field(
        default=Path("ffmpeg"), description="The ffmpeg to run, version 6.1 or newer."
    )
    part_target_s: float = Field(
        default=0.2, ge=0.1, le=1.0, description="Length of an LL-HLS part, seconds."
    )
    segment_target_s: float = Field(
        default=2.0,
        ge=1.0,
        le=6.0,
        description="Length of a segment; cut at the nearest keyframe, seconds.",
    )
    grace_s: float = Field(
        default=60.0,
        ge=0,
        le=600,
        description="How long a cut stream waits for its streamer to come back, seconds.",
    )
    takeover_limit: int = Field(
        default=3,
        ge=1,
        description=(
            "Takeovers of a running stream by another publisher within the window; after them the "
            "running one stays."
        ),
    )
    takeover_window_s: float = Field(
        default=60.0, gt=0, description="The window of that limit, seconds."
    )
    ladder: str = Field(
        default="auto",
        pattern=r"^(auto|off|\d{3,4}p(,\d{3,4}p)*)$",
        description=(
            "Transcoded renditions: `auto` (what the machine's headroom allows), `off`, or heights "
            "as `480p,360p`."
        ),
    )
    media_window_s: float = Field(
        default=30.0, ge=10, description="How much of a live stream stays on the edge, seconds."
    )
    media_quota_bytes: int = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=16 * 1024 * 1024,
        description="Most that the media folder may hold, bytes; never more than four fifths of its "
        "file system. A 3 Mb/s stream takes some 30 MB.",
    )
    edge_playlists_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=16 * 1024 * 1024,
        le=4 * 1024 * 1024 * 1024,
        description="Memory that an edge's workers share for playlists of live streams, bytes.",
    )
    thumbnail_interval_s: float = Field(
        default=10.0,
        ge=1,
        description="How often the picture of a running stream is renewed, seconds.",
    )
    reconcile_interval_s: float = Field(
        default=3.0,
        gt=0,
        description="How often sessions are compared with what nginx serves, seconds.",
    )
