"""Every setting of an installation.

`docs/configuration.md` and `.env.example` are generated from this class.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "FOOTLIGHT_"
SECRET_KEY_MIN_BYTES = 32
# No size that is asked for is larger: a pebibyte, which JavaScript still counts exactly.
MOST_BYTES = 2**50


class FileSettingsSource(PydanticBaseSettingsSource):
    """`FOOTLIGHT_X_FILE=/path` gives setting X that file's content, without trailing newlines."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The content of the field's file; None when no file is named."""
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(variable)
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{variable}: {error}") from error

    def __call__(self) -> dict[str, Any]:
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in values.items() if value is not None}


class Settings(BaseSettings):
    """The settings of one installation, read from the environment.

    Raises pydantic's ValidationError, without the offending values in it, when one is missing or
    wrong.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        # A wrong secret or URL with a password must not end up in a log.
        hide_input_in_errors=True,
    )

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

    # --- secrets and access -----------------------------------------------------------------------
    secret_key: SecretStr = Field(
        ...,
        description=(
            "Master secret of at least 32 bytes; everything else is derived from it. Losing it ends"
            " logins and stream keys."
        ),
    )
    registration_open: bool = Field(
        default=True, description="Whether anybody may make an account."
    )
    streaming_open: bool = Field(
        default=True,
        description="Whether new accounts may stream. If not, an admin makes somebody a `creator`.",
    )
    trusted_proxies: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description=(
            "Addresses or networks of proxies whose `X-Real-IP` is believed. Connections over a "
            "unix socket always are."
        ),
    )
    access_token_s: int = Field(
        default=900, ge=60, le=3600, description="Life of an access token, seconds."
    )
    login_days: int = Field(
        default=30, ge=1, le=365, description="Days after which an unused login ends."
    )
    reset_token_s: int = Field(
        default=3600, ge=300, le=86400, description="Life of a password reset link, seconds."
    )
    signing_key_days: int = Field(
        default=30, ge=1, le=365, description="Days after which a new key signs tokens."
    )
    login_hold_days: int = Field(
        default=180,
        ge=0,
        le=36_500,
        description="Days for which the login of a deleted account cannot be registered again.",
    )
    rate_limit_factor: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description=(
            "Multiplies every rate limit per address and account of the API and of chat; for load tests "
            "and large shared networks."
        ),
    )

    # --- processes --------------------------------------------------------------------------------
    api_listen: str = Field(
        default="unix:/run/footlight/api.sock",
        description="Where `api` listens: `unix:/path` or `host:port`.",
    )
    ingest_listen: str = Field(
        default="unix:/run/footlight/ingest.sock",
        description="Where `ingest` listens (hooks, health, metrics): `unix:/path` or `host:port`.",
    )
    chat_listen: str = Field(
        default="unix:/run/footlight/chat.sock",
        description="Where `chat` answers HTTP (health, metrics): `unix:/path` or `host:port`.",
    )
    chat_socket_listen: str = Field(
        default="unix:/run/footlight/chat-ws.sock",
        description=(
            "Where `chat` takes WebSockets, JSON and IRC: `unix:/path` or `host:port`. The edge "
            "proxies `/chat` here."
        ),
    )
    chat_processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Chat processes that `up` starts; one uses one core.",
    )
    irc_listen: str = Field(
        default="",
        description=(
            "`host:port` for Twitch's IRC dialect over plain TCP; several processes share it. "
            "Empty: none."
        ),
    )
    irc_proxied_listen: str = Field(
        default="unix:/run/footlight/irc.sock",
        description=(
            "`unix:/path` at which connections of `FOOTLIGHT_IRC_TLS_LISTEN` arrive at `chat`, behind a "
            "line of the PROXY protocol."
        ),
    )
    edge_listen: str = Field(
        default="127.0.0.1:8080",
        description="`address:port` of the edge: web UI, API and video. `up` sets it.",
    )
    rtmp_listen: str = Field(
        default="127.0.0.1:1935",
        description="`address:port` at which streamers are received over RTMP. `up` sets it.",
    )
    metrics_listen: str = Field(
        default="",
        description=(
            "`host:port` where a process also serves its health and metrics, for a Prometheus that "
            "reaches no unix socket. Never a public one. Empty: only where it listens anyway."
        ),
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_000,
        description=(
            "First of the ports on 127.0.0.1 at which `up` lets a Prometheus on this machine read the "
            "metrics of every process; `prometheus-targets.json` in the data folder lists them. 0: none."
        ),
    )
    web_root: Path | None = Field(
        default=None,
        description="Folder with the built web UI. Default: the one that `./footlight` built.",
    )
    recorder_listen: str = Field(
        default="unix:/run/footlight/recorder.sock",
        description=(
            "Where `recorder` answers HTTP (playlists of videos, health, metrics): `unix:/path` or"
            " `host:port`. The edge proxies `/vod` here."
        ),
    )
    edge_internal_urls: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["unix:/run/footlight/edge-internal.sock"],
        description=(
            "Internal listeners of every edge that ingest feeds: `unix:/path` or an http URL."
        ),
    )
    ingest_nginx_url: str = Field(
        default="http://127.0.0.1:8935",
        description="Loopback listener of nginx (ingest) with `/stat` and `/control`.",
    )
    ingest_pull_url: str = Field(
        default="rtmp://127.0.0.1:1935/live",
        description="Where workers of `ingest` subscribe to streams.",
    )
    worker_listen: str = Field(
        default="unix:/run/footlight/worker.sock",
        description="Where `worker` answers HTTP (health, metrics): `unix:/path` or `host:port`.",
    )
    drain_s: float = Field(
        default=8.0, ge=0, description="How long a stopping process lets requests finish, seconds."
    )
    request_timeout_s: float = Field(
        default=5.0,
        gt=0,
        description="How long a server (database, Redis, NATS, S3) may take to answer, seconds.",
    )
    log_level: str = Field(
        default="info",
        pattern="^(debug|info|warning|error)$",
        description="Least severity that is logged.",
    )

    # --- TLS --------------------------------------------------------------------------------------
    tls_certificate: Path | None = Field(
        default=None,
        description=(
            "PEM file with the certificate chain of the public name. When it changes it is loaded "
            "again without dropping a connection."
        ),
    )
    tls_key: Path | None = Field(
        default=None, description="PEM file with that certificate's private key."
    )
    https_listen: str = Field(
        default="",
        description=(
            "`address:port` of the edge over TLS, with HTTP/2; the port without TLS then sends browsers "
            "here. Needs a public URL with `https://`. Empty: none."
        ),
    )
    rtmps_listen: str = Field(
        default="",
        description="`address:port` at which streamers are received over TLS (RTMPS). Empty: none.",
    )
    rtmp_proxied_listen: str = Field(
        default="127.0.0.1:1934",
        description=(
            "`127.0.0.1:port` at which streams of `FOOTLIGHT_RTMPS_LISTEN` arrive at nginx (ingest), "
            "behind a line of the PROXY protocol. `up` sets it."
        ),
    )
    irc_tls_listen: str = Field(
        default="",
        description="`address:port` of Twitch's IRC dialect over TLS. Empty: none.",
    )
    hsts_s: int = Field(
        default=30 * 86400,
        ge=0,
        description=(
            "How long browsers refuse to reach this name without TLS once they were here with it, "
            "seconds; 0: they are not told to."
        ),
    )
    acme_directory: str = Field(
        default="",
        pattern=r"^(https://\S+)?$",
        description=(
            "Certificate authority that makes and renews the certificate (ACME), such as "
            "`https://acme-v02.api.letsencrypt.org/directory`. It asks for this name at port 80. Empty: "
            "the certificate is the files above."
        ),
    )
    acme_email: str = Field(
        default="", description="Where that authority writes when something is wrong."
    )
    acme_ca_file: Path | None = Field(
        default=None,
        description="PEM file with who vouches for an authority of one's own. Empty: the usual ones.",
    )

    # --- live -------------------------------------------------------------------------------------
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

    # --- chat -------------------------------------------------------------------------------------
    chat_flush_s: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description=(
            "In a busy room messages of this time go out together, seconds. A quiet room's go out "
            "at once."
        ),
    )
    chat_buffer_bytes: int = Field(
        default=256 * 1024,
        ge=16 * 1024,
        description="What may wait for a slow reader before it is dropped, bytes.",
    )
    chat_join_history: int = Field(
        default=50, ge=0, le=500, description="Messages that somebody sees who enters a room."
    )
    chat_recovery: int = Field(
        default=1000,
        ge=0,
        le=10_000,
        description="Most messages that a reconnecting client is given; beyond it a gap is said.",
    )
    chat_persist_s: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="How often messages are written to PostgreSQL, seconds.",
    )
    chat_room_cap: int = Field(
        default=20_000,
        ge=100,
        description=(
            "Most messages of a room that Redis holds when PostgreSQL does not take them; older ones"
            " are then lost, counted and alerted."
        ),
    )
    chat_retention_days: int = Field(
        default=365,
        ge=0,
        le=36_500,
        description="Days after which chat messages are removed, by the week; 0: kept for good.",
    )
    chat_held_s: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="How long a held message waits for a moderator, seconds.",
    )
    chat_raid_s: float = Field(
        default=90.0,
        gt=0,
        description="Countdown of a raid, seconds.",
    )
    chat_pin_s: float = Field(
        default=1200.0, gt=0, le=604_800, description="How long a message stays pinned, seconds."
    )

    # --- videos -----------------------------------------------------------------------------------
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

    # --- backups ----------------------------------------------------------------------------------
    backup_place: str = Field(
        default="",
        description=(
            "Where backups without a name go: a folder, or `s3://bucket/prefix`, of this instance "
            "alone. `up` takes one whenever it is due. Empty: none by itself."
        ),
    )
    backup_interval_hours: float = Field(
        default=24.0, gt=0, le=8760, description="Hours between two backups that `up` takes."
    )
    backup_keep: int = Field(
        default=7, ge=1, le=1000, description="Backups that stay in that place; older ones go."
    )
    backup_objects: str = Field(
        default="copy",
        pattern="^(copy|reference)$",
        description=(
            "Whether a backup holds the objects (`copy`), or only their names (`reference`): for an "
            "object storage that keeps copies itself."
        ),
    )
    backup_passphrase: SecretStr = Field(
        default=SecretStr(""),
        description="Encrypts backups (age, scrypt). Keep it elsewhere too: without it they are lost.",
    )
    backup_s3_endpoint: str = Field(
        default="",
        description="S3 endpoint of that bucket. Empty: that of the instance, with its keys.",
    )
    backup_s3_region: str = Field(default="", description="Its region. Empty: as the instance's.")
    backup_s3_access_key: str = Field(default="", repr=False, description="S3 access key for it.")
    backup_s3_secret_key: SecretStr = Field(
        default=SecretStr(""), description="S3 secret key for it."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, FileSettingsSource(settings_cls)

    @field_validator("trusted_proxies", "edge_internal_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """A list as JSON or separated by commas."""
        if not isinstance(value, str):
            return value
        text = value.strip()
        return (
            json.loads(text)
            if text.startswith("[")
            else [part.strip() for part in text.split(",") if part.strip()]
        )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        return [str(ipaddress.ip_network(item, strict=False)) for item in value]

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path.strip("/")
            or parts.query
        ):
            raise ValueError("must be http:// or https:// with a host and nothing after it")
        return value.rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().encode()) < SECRET_KEY_MIN_BYTES:
            raise ValueError(f"must have at least {SECRET_KEY_MIN_BYTES} bytes")
        return value

    @model_validator(mode="after")
    def _windows(self) -> Self:
        if self.part_target_s > self.segment_target_s / 2:
            raise ValueError("part_target_s must be at most half of segment_target_s")
        return self

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if not (self.https_listen or self.rtmps_listen or self.irc_tls_listen):
            return self
        if self.acme_directory:
            if not self.secure:
                raise ValueError(
                    "public_url must be https:// with the name that ACME is to certify"
                )
        elif self.tls_certificate is None or self.tls_key is None:
            raise ValueError("TLS needs tls_certificate and tls_key, or acme_directory")
        if self.https_listen and not self.secure:
            raise ValueError("https_listen needs a public_url with https://")
        return self

    @classmethod
    def from_environment(cls) -> Settings:
        """The settings of this process. Raises ValueError (pydantic's, or for a missing file)."""
        return cls()  # type: ignore[call-arg]

    @property
    def spool(self) -> Path:
        """The folder in which segments wait for the object storage."""
        return self.spool_dir or self.data_dir / "spool"

    @property
    def secure(self) -> bool:
        """Whether browsers reach us over HTTPS."""
        return self.public_url.startswith("https://")

    @property
    def certificate(self) -> tuple[Path, Path]:
        """The PEM files of the chain and of its key: those that are named, or those that ACME makes."""
        folder = self.data_dir / "tls"
        if self.acme_directory or self.tls_certificate is None or self.tls_key is None:
            return folder / "certificate.pem", folder / "key.pem"
        return self.tls_certificate, self.tls_key

    @property
    def acme_challenges(self) -> Path | None:
        """The folder in which the edge shows the authority that this name is ours."""
        return self.data_dir / "tls/challenges" if self.acme_directory else None

    @property
    def mail_sender(self) -> str:
        """The address mail comes from."""
        return self.smtp_from or f"footlight@{urlsplit(self.public_url).hostname}"
