"""MB a second from a full spool into the storage: by recorder's archive, and by boto3 alone."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from botocore.config import Config

from bench.generated import RENDITIONS, Generated, Media
from core.db.engine import open_database
from core.metrics import Metrics
from core.settings import Settings
from core.storage import open_storage
from recorder.archive import Archive, ArchiveMetrics


@dataclass(frozen=True)
class Rates:
    """MB a second of each round."""

    archive: list[float]
    boto3: list[float]

    @property
    def share(self) -> float:
        """Of a round's boto3 what the archive did in it: the median."""
        return median(ours / plain for ours, plain in zip(self.archive, self.boto3, strict=True))


async def drain(
    settings: Settings, channel_id: int, size: int, megabytes: int, rounds: int
) -> Rates:
    """Have the same files of `size` bytes uploaded by both, in turn."""
    rates = Rates([], [])
    data = [secrets.token_bytes(size) for _ in range(8)]
    media = Media(dict.fromkeys(RENDITIONS, b"init"), dict.fromkeys(RENDITIONS, data))
    each = megabytes * 1_000_000 // size // len(RENDITIONS)
    written = each * len(RENDITIONS) * size / 1e6
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
            own = settings.model_copy(update={"spool_dir": Path(folder) / "spool"})
            full = Generated(own, media, channel_id, -secrets.randbits(40), secrets.token_hex(8))
            await asyncio.to_thread(_fill, full, each, Path(folder) / "copy")
            uploads = (
                (rates.archive, _archive(own, full.session)),
                (rates.boto3, asyncio.to_thread(_boto3, settings, Path(folder) / "copy")),
            )
            # The first of a round finds the disk busy with what was just written: they take turns.
            for found, upload in uploads if number % 2 else reversed(uploads):
                found.append(written / await upload)
    return rates


def _fill(full: Generated, each: int, copy: Path) -> None:
    full.begin()
    full.write(each)
    shutil.copytree(full.folder, copy)


async def _archive(settings: Settings, session: str) -> float:
    async with open_database(settings) as database, open_storage(settings) as storage:
        metrics = ArchiveMetrics.of(Metrics())
        archive = Archive(settings.spool, database, storage, settings.archive_uploads, metrics)
        await storage.check()
        began = time.monotonic()
        await archive.look(session)
        return time.monotonic() - began


def _boto3(settings: Settings, folder: Path) -> float:
    client = boto3.session.Session().client("s3", **_access(settings))
    prefix = f"bench/{secrets.token_hex(4)}"
    files = sorted(folder.glob("*/*.m4s"))
    client.head_bucket(Bucket=settings.s3_bucket)

    def put(path: Path) -> None:
        with path.open("rb") as body:
            client.put_object(
                Bucket=settings.s3_bucket, Key=f"{prefix}/{path.parent.name}/{path.name}", Body=body
            )

    with ThreadPoolExecutor(settings.archive_uploads) as pool:
        began = time.monotonic()
        list(pool.map(put, files))
        return time.monotonic() - began


def _access(settings: Settings) -> dict[str, Any]:
    return {
        "endpoint_url": settings.s3_endpoint,
        "region_name": settings.s3_region,
        "aws_access_key_id": settings.s3_access_key,
        "aws_secret_access_key": settings.s3_secret_key.get_secret_value(),
        "config": Config(
            s3={"addressing_style": "path"},
            # Its own checksums are more than small S3 servers understand.
            request_checksum_calculation="when_required",
            max_pool_connections=settings.archive_uploads,
        ),
    }
