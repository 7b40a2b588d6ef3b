"""Settings: how the processes run, where they listen, and TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field
from pydantic_settings import NoDecode


class Processes(BaseModel):
    """How the processes run, where they listen, and TLS."""

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
            "`host:port` for Twitch's IRC dialect over plain TCP; several processes share it, of which each "
            "takes 1,000 connections of one address. Empty: none."
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
