"""Settings: where an instance and its servers are."""

from __future__ import annotations

import socket
from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class Places(BaseModel):
    """Where an instance and its servers are."""

    # --- where things are -------------------------------------------------------------------------
    instance_name: str = Field(
        default="Footlight", min_length=1, max_length=60, description="Name shown to visitors."
    )
    public_url: str = Field(
        default="http://127.0.0.1:8080",
        description=(
            "Where browsers reach this installation, without a path. With `https://` cookies are "
            "marked Secure."
        ),
    )
    rtmp_url: str = Field(
        default="rtmp://127.0.0.1:1935/live",
        description="The server address that streamers enter in OBS.",
    )
    node_id: str = Field(
        default_factory=lambda: socket.gethostname().split(".")[0] or "node",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description=(
            "Name of this machine among several; stays the same over restarts. Default: the host "
            "name."
        ),
    )
    data_dir: Path = Field(
        default=Path("/var/lib/footlight"), description="Folder for what must survive a restart."
    )
    run_dir: Path = Field(default=Path("/run/footlight"), description="Folder for sockets.")
    media_dir: Path = Field(
        default=Path("/dev/shm/footlight"),  # noqa: S108
        description="Folder for the live media window. Keep it in memory (tmpfs).",
    )

    # --- servers ----------------------------------------------------------------------------------
    database_url: str = Field(
        default="postgresql+asyncpg://footlight@/footlight?host=/run/footlight",
        repr=False,
        description="PostgreSQL 15 or newer, as a SQLAlchemy URL with the asyncpg driver.",
    )
    database_pool_size: int = Field(
        default=10, ge=1, le=200, description="Connections to PostgreSQL per process."
    )
    redis_url: str = Field(
        default="unix:///run/footlight/redis.sock",
        repr=False,
        description="Redis 7 or newer: `redis://`, `rediss://` or `unix://`.",
    )
    nats_url: str = Field(
        default="nats://127.0.0.1:4222",
        repr=False,
        description="NATS with JetStream; several addresses separated by commas.",
    )
    nats_replicas: int = Field(
        default=1,
        ge=1,
        le=5,
        description="Copies of the event stream; 3 in a cluster of NATS servers.",
    )
    s3_endpoint: str = Field(
        default="http://127.0.0.1:9000", description="S3 endpoint for objects that are kept."
    )
    s3_access_key: str = Field(default="", repr=False, description="S3 access key.")
    s3_secret_key: SecretStr = Field(default=SecretStr(""), description="S3 secret key.")
    s3_bucket: str = Field(
        default="footlight", description="S3 bucket; made at the first start if it may be."
    )
    s3_region: str = Field(default="us-east-1", description="S3 region.")
    s3_concurrency: int = Field(
        default=8, ge=1, le=128, description="S3 requests at once per process."
    )
    smtp_url: str = Field(
        default="",
        repr=False,
        description=(
            "Mail server: `smtp://user:password@host:587` (STARTTLS when offered), `smtps://…:465`."
            " Empty: no mail is sent."
        ),
    )
    smtp_from: str = Field(
        default="",
        description="Sender of mail. Empty: `footlight@` and the host of the public URL.",
    )
