"""Where backups lie: a folder or a bucket; how they are named, and which of them are old."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from cli.archive import Sink, Source
from cli.instance import SetupError
from core.settings import Settings
from core.storage import Storage, Writer, open_storage

S3 = "s3://"
#: Of an object that holds a backup; S3 takes 10,000 parts, so that it may have 320 GB.
PART_BYTES = 32 << 20
_READ_BYTES = 8 << 20
_NAME = re.compile(r"footlight-\d{8}T\d{6}Z\.tar(\.age)?")


class Target(Sink, Protocol):
    """A backup that is being written: it is there, whole, after `finish`, or not at all."""

    async def finish(self) -> None: ...

    async def abort(self) -> None: ...


@dataclass(frozen=True)
class Place:
    """One archive's place: a file, or an object of a bucket."""

    bucket: str
    path: str

    @classmethod
    def of(cls, text: str) -> Place:
        """Of what the user wrote: a path, or s3://bucket/key. Raises SetupError."""
        if not text.startswith(S3):
            return cls("", str(Path(text).expanduser().absolute()))
        bucket, _, key = text.removeprefix(S3).partition("/")
        if not bucket:
            raise SetupError(f"{text} names no bucket: s3://bucket/name")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"{S3}{self.bucket}/{self.path}" if self.bucket else self.path

    def within(self, name: str) -> Place:
        """What is called `name` in this folder."""
        folder = self.path.rstrip("/")
        return Place(self.bucket, f"{folder}/{name}" if folder or not self.bucket else name)


def dated_name(now: datetime, *, encrypted: bool) -> str:
    """What a backup without a name of its own is called; by name they are in the order of time."""
    return f"footlight-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar{'.age' if encrypted else ''}"


def surplus(names: Iterable[str], keep: int) -> list[str]:
    """Those of our own dated names that are more than the newest `keep`; the others are nobody's business."""
    ours = sorted((name for name in names if _NAME.fullmatch(name)), reverse=True)
    return ours[keep:]


@asynccontextmanager
async def open_bucket(settings: Settings, bucket: str) -> AsyncIterator[Storage]:
    """The bucket for backups. Raises SetupError for the one that is backed up."""
    endpoint = settings.backup_s3_endpoint or settings.s3_endpoint
    if (endpoint, bucket) == (settings.s3_endpoint, settings.s3_bucket):
        raise SetupError(
            f"The bucket {bucket} is what is backed up: name another, better on another machine."
        )
    own = {
        "s3_endpoint": endpoint,
        "s3_bucket": bucket,
        "s3_region": settings.backup_s3_region or settings.s3_region,
        "s3_access_key": settings.backup_s3_access_key or settings.s3_access_key,
        "s3_secret_key": SecretStr(
            settings.backup_s3_secret_key.get_secret_value()
            or settings.s3_secret_key.get_secret_value()
        ),
        # Parts are large, and may go over a slow line.
        "request_timeout_s": 30.0,
    }
    async with open_storage(settings.model_copy(update=own)) as storage:
        yield storage


# --- writing --------------------------------------------------------------------------------------


class FileTarget:
    """A file that gets its name once it is whole and on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.partial")
        try:
            self._file = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            hint = "`backup - > FILE` writes with your own rights."
            raise SetupError(f"{path} cannot be written: {error.strerror}. {hint}") from error

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._file, rest) :]
            except OSError as error:
                raise SetupError(f"{self._path} cannot be written: {error.strerror}") from error

    async def finish(self) -> None:
        os.fsync(self._file)
        os.close(self._file)
        self._draft.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def abort(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._file)
        self._draft.unlink(missing_ok=True)


class ObjectTarget:
    """An object that is there once all of its parts are."""

    def __init__(self, storage: Storage, key: str) -> None:
        self._writer = Writer(storage, key, part_bytes=PART_BYTES)

    async def write(self, data: bytes) -> None:
        await self._writer.write([data])

    async def finish(self) -> None:
        await self._writer.finish()

    async def abort(self) -> None:
        await self._writer.abort()


class OutputTarget:
    """Standard output: whoever reads it makes a file of it."""

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(1, rest) :]

    async def finish(self) -> None:
        """Nothing is left to do."""

    async def abort(self) -> None:
        """What was written stays; it has no sums, and is refused."""


@asynccontextmanager
async def written(settings: Settings, place: Place | None) -> AsyncIterator[Target]:
    """A new archive at `place` (None: standard output): there when the block ends, not when it raises."""
    async with AsyncExitStack() as stack:
        target: Target
        if place is None:
            target = OutputTarget()
        elif place.bucket:
            storage = await stack.enter_async_context(open_bucket(settings, place.bucket))
            target = ObjectTarget(storage, place.path)
        else:
            target = FileTarget(Path(place.path))
        try:
            yield target
            await target.finish()
        except BaseException:
            await target.abort()
            raise


# --- reading --------------------------------------------------------------------------------------


class FileSource:
    """An open file from its beginning."""

    def __init__(self, descriptor: int) -> None:
        self._file = descriptor

    async def read(self, most: int) -> bytes:
        return os.read(self._file, most)


class ObjectSource:
    """An object, read in ranges."""

    def __init__(self, storage: Storage, key: str, size: int) -> None:
        self._storage, self._key, self._size = storage, key, size
        self._at = 0
        self._ahead = b""

    async def read(self, most: int) -> bytes:
        if not self._ahead and self._at < self._size:
            last = min(self._at + _READ_BYTES, self._size) - 1
            self._ahead = await self._storage.get(self._key, self._at, last)
            self._at = last + 1
        piece, self._ahead = self._ahead[:most], self._ahead[most:]
        return piece


@asynccontextmanager
async def read_back(settings: Settings | None, place: Place | None) -> AsyncIterator[Source]:
    """The archive at `place` (None: standard input, which is a file). Raises SetupError."""
    if place is not None and place.bucket:
        if settings is None:
            raise SetupError("Which storage is meant is said by FOOTLIGHT_BACKUP_S3_ENDPOINT.")
        async with open_bucket(settings, place.bucket) as storage:
            found = [each for each in await storage.list(place.path) if each.key == place.path]
            if not found:
                raise SetupError(f"{place} is not there.")
            yield ObjectSource(storage, place.path, found[0].size)
        return
    try:
        descriptor = os.dup(0) if place is None else os.open(place.path, os.O_RDONLY)
        # It is read twice: checked first.
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError as error:
        what = place or "Standard input, which has to be a file,"
        raise SetupError(f"{what} cannot be read: {error.strerror}") from error
    try:
        yield FileSource(descriptor)
    finally:
        os.close(descriptor)


# --- keeping --------------------------------------------------------------------------------------


async def rotate(settings: Settings, folder: Place, keep: int) -> list[str]:
    """Remove all but the newest `keep` of the dated backups in `folder`: those that went."""
    if folder.bucket:
        async with open_bucket(settings, folder.bucket) as storage:
            prefix = folder.within("").path
            stored = await storage.list(prefix)
            old = surplus((each.key.removeprefix(prefix) for each in stored), keep)
            await storage.delete(*(prefix + name for name in old))
            return old
    return _rotate_files(Path(folder.path), keep)


def _rotate_files(folder: Path, keep: int) -> list[str]:
    # Of one that was killed: ours is over.
    for draft in folder.glob(".footlight-*.partial"):
        draft.unlink(missing_ok=True)
    old = surplus((each.name for each in folder.iterdir()), keep)
    for name in old:
        (folder / name).unlink(missing_ok=True)
    return old
