"""S3 objects. boto3 blocks, so its calls run in a bounded pool of threads of their own.

Nothing here relies on object metadata, content types, conditional puts, part copies or bucket
policies: small S3 servers forget or ignore them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import NotFound, Unavailable
from core.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef, ObjectIdentifierTypeDef

T = TypeVar("T")
#: Of a large object that is written piece by piece; S3 takes 10,000 of them, so that it may have 150 GB.
PART_BYTES = 16 * 1024 * 1024
PARTS_AT_ONCE = 3
_MISSING = {"NoSuchKey", "NoSuchBucket", "404", "NotFound"}


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing shows it; `size` in bytes."""

    key: str
    size: int
    modified: datetime


class Storage:
    """The objects of one bucket.

    Every method raises Unavailable when S3 does not answer or answers with 5xx.
    """

    def __init__(self, client: S3Client, bucket: str, threads: ThreadPoolExecutor) -> None:
        self._client = client
        self._bucket = bucket
        self._threads = threads

    async def _call(self, call: Callable[[], T], what: str) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _MISSING:
                raise NotFound(f"There is no object {what}.", code="object_not_found") from error
            raise Unavailable(
                "The object storage refused a request.", code="storage_unavailable"
            ) from error
        except (BotoCoreError, OSError) as error:
            raise Unavailable(
                "The object storage does not answer.", code="storage_unavailable"
            ) from error

    async def ensure_bucket(self) -> None:
        """Make the bucket unless it is there."""

        def ensure() -> None:
            try:
                self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _MISSING:
                    raise
                self._client.create_bucket(Bucket=self._bucket)

        await self._call(ensure, self._bucket)

    async def check(self) -> None:
        """Raise unless the bucket can be reached with our credentials."""
        await self._call(partial(self._client.head_bucket, Bucket=self._bucket), self._bucket)

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, replacing what is there. S3 refuses it if it came differently."""

        def put() -> None:
            digest = hashlib.md5(data, usedforsecurity=False).digest()
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=data,
                ContentMD5=base64.b64encode(digest).decode(),
            )

        await self._call(put, key)

    @asynccontextmanager
    async def writer(self, key: str) -> AsyncIterator[Writer]:
        """Store an object piece by piece. It is there once the block has ended, and not when it raises."""
        writer = Writer(self, key)
        try:
            yield writer
            await writer.finish()
        except BaseException:
            await asyncio.shield(writer.abort())
            raise

    async def begin_parts(self, key: str) -> str:
        """Begin an object of several parts: its upload id."""
        begun = await self._call(
            partial(self._client.create_multipart_upload, Bucket=self._bucket, Key=key), key
        )
        return begun["UploadId"]

    async def put_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        """Store part `number` (from 1): its ETag."""
        stored = await self._call(
            partial(
                self._client.upload_part,
                Bucket=self._bucket,
                Key=key,
                UploadId=upload,
                PartNumber=number,
                Body=data,
            ),
            key,
        )
        return stored["ETag"]

    async def finish_parts(self, key: str, upload: str, tags: dict[int, str]) -> None:
        """Make the object of its parts: ETags by number."""
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": tags[number]} for number in sorted(tags)
        ]
        await self._call(
            partial(
                self._client.complete_multipart_upload,
                Bucket=self._bucket,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
            ),
            key,
        )

    async def abort_parts(self, key: str, upload: str) -> None:
        """Forget the parts of an object that will not be."""
        await self._call(
            partial(
                self._client.abort_multipart_upload, Bucket=self._bucket, Key=key, UploadId=upload
            ),
            key,
        )

    async def get(self, key: str, start: int | None = None, end: int | None = None) -> bytes:
        """The object, or its bytes `start` to `end` (both included). Raises NotFound."""

        def get() -> bytes:
            if start is None:
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
            else:
                last = "" if end is None else str(end)
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=key, Range=f"bytes={start}-{last}"
                )
            return answer["Body"].read()

        return await self._call(get, key)

    async def delete(self, *keys: str) -> None:
        """Remove objects; those that are not there count as removed."""

        def delete() -> None:
            for first in range(0, len(keys), 1000):
                objects: list[ObjectIdentifierTypeDef] = [
                    {"Key": key} for key in keys[first : first + 1000]
                ]
                self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
                )

        if keys:
            await self._call(delete, keys[0])

    async def list(self, prefix: str) -> list[StoredObject]:
        """Every object below `prefix`, by key."""
        return [item async for item in self.each(prefix)]

    async def each(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Every object below `prefix`, by key; a page of them at a time is held."""
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
        )
        while True:
            page = await self._call(partial(next, pages, None), prefix)
            if page is None:
                return
            for item in page.get("Contents", []):
                yield StoredObject(item["Key"], item["Size"], item["LastModified"])


class Writer:
    """An object on its way: a few parts of it in memory, the rest stored."""

    def __init__(self, storage: Storage, key: str, *, part_bytes: int = PART_BYTES) -> None:
        self.size = 0
        self._part_bytes = part_bytes
        self._storage = storage
        self._key = key
        self._upload: str | None = None
        self._buffer = bytearray()
        self._number = 0
        self._tags: dict[int, str] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def write(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Add to its end; waits while too much is on its way. Raises Unavailable."""
        for piece in pieces:
            self._buffer += piece
            self.size += len(piece)
        while len(self._buffer) >= self._part_bytes:
            part = bytes(self._buffer[: self._part_bytes])
            del self._buffer[: self._part_bytes]
            await self._send(part)

    async def _send(self, part: bytes) -> None:
        if self._upload is None:
            self._upload = await self._storage.begin_parts(self._key)
        while len(self._sending) >= PARTS_AT_ONCE:
            await self._settle(asyncio.FIRST_COMPLETED)
        self._number += 1
        put = self._put(self._upload, self._number, part)
        self._sending.add(asyncio.create_task(put, name=f"part-{self._number}"))

    async def _put(self, upload: str, number: int, part: bytes) -> None:
        self._tags[number] = await self._storage.put_part(self._key, upload, number, part)

    async def _settle(self, when: str) -> None:
        done, self._sending = await asyncio.wait(self._sending, return_when=when)
        for task in done:
            task.result()

    async def finish(self) -> None:
        """Store what is left, and make the object."""
        if self._upload is None:
            await self._storage.put(self._key, bytes(self._buffer))
            return
        if self._buffer:
            await self._send(bytes(self._buffer))
        if self._sending:
            await self._settle(asyncio.ALL_COMPLETED)
        await self._storage.finish_parts(self._key, self._upload, self._tags)

    async def abort(self) -> None:
        """Leave nothing behind."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._upload is not None:
            with contextlib.suppress(NotFound, Unavailable):
                await self._storage.abort_parts(self._key, self._upload)


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncIterator[Storage]:
    """The bucket of the settings. Connects when first used."""
    timeout = settings.request_timeout_s
    threads = ThreadPoolExecutor(settings.s3_concurrency, thread_name_prefix="s3")
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            # Without these, range reads and small S3 servers fail.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=timeout,
            read_timeout=timeout * 4,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=settings.s3_concurrency,
        ),
    )
    try:
        yield Storage(client, settings.s3_bucket, threads)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        client.close()
