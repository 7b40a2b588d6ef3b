"""`footlight backup`: a running instance as one archive.

It is consistent because of its order: nothing is removed from the object storage while it runs
(core.holding), the database is dumped as it is at one moment, and then the objects are copied. An object
is stored before a row names it and a name is never used again, so every object that the dump names is
among them; what came later is there as well and does no harm.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from cli import archive
from cli.age import Sealer
from cli.archive import ArchiveWriter, BadArchive, Sink
from cli.checking import Contents, check
from cli.connection import settings_for
from cli.dumps import dump
from cli.instance import SetupError
from cli.places import Place, dated_name, rotate, written
from cli.toolchain import MissingProgram, Toolchain
from core.db.engine import Database, open_database
from core.db.migrate import schema_of
from core.db.models import BackupRun
from core.errors import DomainError, NotFound
from core.holding import everything_held
from core.settings import Settings
from core.storage import Storage, StoredObject, open_storage
from core.version import RELEASE

#: Objects up to this size are fetched ahead, larger ones in ranges of it, bytes.
RANGE_BYTES = 8 << 20
AHEAD = 8


#: What may come of it otherwise, and is said without a trace.
PROBLEMS = (SetupError, MissingProgram, DomainError, BadArchive, OSError, SQLAlchemyError)
Fetch = tuple[StoredObject, asyncio.Task[bytes] | None]


@dataclass
class Taken:
    """What became of a backup."""

    size: int = 0
    database_bytes: int = 0
    objects: int = 0
    object_bytes: int = 0
    # Listed, and not there any more when they were to be copied: what no row names may go at any time.
    gone: int = 0
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        took = time.monotonic() - self.started
        return (
            f"{megabytes(self.size)} in {took:.1f} s: database {megabytes(self.database_bytes)}, "
            f"{self.objects} objects {megabytes(self.object_bytes)}"
        )


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e6:.1f} MB"


def main(arguments: argparse.Namespace) -> int:
    """Take one backup; 1 with a message when it cannot be taken."""
    try:
        settings = settings_for(arguments)
        asyncio.run(run(settings, arguments))
    except PROBLEMS as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1
    return 0


async def run(settings: Settings, arguments: argparse.Namespace) -> None:
    """To the file that is named, else to the place of the settings, where old ones go."""
    passphrase = passphrase_of(arguments) or settings.backup_passphrase.get_secret_value()
    copy = (arguments.objects or settings.backup_objects) == "copy"
    async with open_database(settings) as database:
        row = BackupRun(
            started_at=datetime.now(UTC),
            place=arguments.file or settings.backup_place or "-",
            size_bytes=0,
        )
        try:
            folder, place = destination(settings, arguments.file, bool(passphrase))
            row.place = str(place or "-")
            taken = await take(settings, database, place, passphrase, copy=copy)
            row.size_bytes = taken.size
        except PROBLEMS as problem:
            row.error = str(problem) or type(problem).__name__
            raise
        finally:
            await note(database, row)
    said = sys.stdout if place else sys.stderr
    print(f"Backed up to {place or 'standard output'}: {taken}.", file=said)
    if place is not None:
        print("Read back, and all of it is there.", file=said)
    if not passphrase:
        print("It holds the instance's secrets and is not encrypted: keep it closed.", file=said)
    if folder is not None:
        for name in await rotate(settings, folder, settings.backup_keep):
            print(f"Removed {name}, an old one.", file=said)


def passphrase_of(arguments: argparse.Namespace) -> str:
    """The first line of --passphrase-file; "" without one. Raises SetupError."""
    file: Path | None = arguments.passphrase_file
    if file is None:
        return ""
    try:
        line = file.read_text().partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}") from error
    if not line:
        raise SetupError(f"{file} has no passphrase in its first line.")
    return line


def destination(
    settings: Settings, file: str | None, encrypted: bool
) -> tuple[Place | None, Place | None]:
    """The folder to rotate in, if any, and the archive's place (None: standard output)."""
    if file == "-":
        return None, None
    if file is not None:
        return None, Place.of(file)
    if not settings.backup_place:
        raise SetupError(
            "Name a file, - for standard output, or a place for all backups with FOOTLIGHT_BACKUP_PLACE."
        )
    folder = Place.of(settings.backup_place)
    if not folder.bucket:
        Path(folder.path).mkdir(parents=True, mode=0o700, exist_ok=True)
    return folder, folder.within(dated_name(datetime.now(UTC), encrypted=encrypted))


async def note(database: Database, row: BackupRun) -> None:
    """Write down how it went, for the admin's overview. One that was interrupted has no size."""
    row.ended_at = datetime.now(UTC)
    if not row.size_bytes and not row.error:
        row.error = "It was interrupted."
    try:
        async with database.session() as session:
            session.add(row)
    except (DomainError, SQLAlchemyError) as problem:
        print(f"footlight: the backup could not be noted: {problem}", file=sys.stderr)


class _Measured:
    """A sink that seals what it is given, if asked, and counts what comes of it."""

    def __init__(self, sink: Sink, passphrase: str) -> None:
        self.size = 0
        self._sink = sink
        self._sealer = Sealer(passphrase) if passphrase else None

    async def begin(self) -> None:
        if self._sealer is not None:
            await self._pass_on(self._sealer.begin())

    async def write(self, data: bytes) -> None:
        await self._pass_on(data if self._sealer is None else self._sealer.seal(data))

    async def end(self) -> None:
        if self._sealer is not None:
            await self._pass_on(self._sealer.end())

    async def _pass_on(self, data: bytes) -> None:
        self.size += len(data)
        if data:
            await self._sink.write(data)


async def take(
    settings: Settings, database: Database, place: Place | None, passphrase: str, *, copy: bool
) -> Taken:
    """Write the archive and read it back. Raises SetupError, Unavailable or BadArchive."""
    async with everything_held(database) as hold:
        if hold is None:
            raise SetupError("Another backup of this instance runs.")
        async with written(settings, place) as target, open_storage(settings) as storage:
            sink = _Measured(target, passphrase)
            await sink.begin()
            with ArchiveWriter(sink) as writer:
                taken = await _write(settings, writer, hold, storage, copy=copy)
                await writer.finish()
                members = writer.members
            await sink.end()
            taken.size = sink.size
            await _still(hold)
    if place is not None:
        found = await check(settings, place, passphrase)
        _compare(found, taken, members)
    return taken


async def _still(hold: AsyncConnection) -> None:
    """A hold that was lost on the way may have let something be removed."""
    try:
        await schema_of(hold)
    except SQLAlchemyError as error:
        raise SetupError(
            "The database went away meanwhile; nothing is kept of this one."
        ) from error


def _compare(found: Contents, taken: Taken, members: int) -> None:
    if (found.members, found.objects) != (members, taken.objects):
        raise BadArchive("What was read back is not what was written.")


async def _write(
    settings: Settings,
    writer: ArchiveWriter,
    hold: AsyncConnection,
    storage: Storage,
    *,
    copy: bool,
) -> Taken:
    taken = Taken()
    manifest = {
        "format": archive.FORMAT,
        "release": RELEASE,
        "schema": await schema_of(hold),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "public_url": settings.public_url,
        "objects": "copy" if copy else "reference",
    }
    await writer.add(archive.MANIFEST, json.dumps(manifest, indent=2).encode() + b"\n")
    for name, content in secrets_of(settings).items():
        await writer.add(f"{archive.SECRETS}{name}", content)
    number = 0
    async for piece in dump(Toolchain.from_environment(), settings.database_url):
        number += 1
        await writer.add(f"{archive.DATABASE}{number:06}", piece)
        taken.database_bytes += len(piece)
    await (_copy if copy else _refer)(writer, storage, taken)
    return taken


def secrets_of(settings: Settings) -> dict[str, bytes]:
    """The master secret, and what was generated beside it, by file name."""
    folder = settings.data_dir / "secrets"
    found = {"secret_key": settings.secret_key.get_secret_value().encode() + b"\n"}
    if os.access(folder, os.R_OK | os.X_OK):
        found |= {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if path.is_file() and not path.name.startswith(".") and path.name != "secret_key"
        }
    return found


async def _copy(writer: ArchiveWriter, storage: Storage, taken: Taken) -> None:
    """Every object; small ones are fetched some ahead."""
    with ExitStack() as stack:
        ahead: deque[Fetch] = deque()
        stack.callback(_forget, ahead)
        async for item in storage.each(""):
            small = item.size <= RANGE_BYTES
            task = asyncio.create_task(storage.get(item.key)) if small else None
            ahead.append((item, task))
            if len(ahead) >= AHEAD:
                await _copied(writer, storage, taken, *ahead.popleft())
        while ahead:
            await _copied(writer, storage, taken, *ahead.popleft())


def _forget(ahead: deque[Fetch]) -> None:
    for _, task in ahead:
        # One failure has been told; that others failed as well is no news.
        if task is not None and not task.cancel() and not task.cancelled():
            task.exception()


async def _copied(
    writer: ArchiveWriter,
    storage: Storage,
    taken: Taken,
    item: StoredObject,
    task: asyncio.Task[bytes] | None,
) -> None:
    ranges = _ranges(storage, item)
    try:
        first = await (anext(ranges) if task is None else task)
    except NotFound:
        taken.gone += 1
        return
    size = item.size if task is None else len(first)
    await writer.begin(f"{archive.OBJECTS}{item.key}", size)
    await writer.write(first)
    if task is None:
        async for piece in ranges:
            await writer.write(piece)
    taken.objects += 1
    taken.object_bytes += size


async def _ranges(storage: Storage, item: StoredObject) -> AsyncIterator[bytes]:
    for start in range(0, item.size, RANGE_BYTES):
        yield await storage.get(item.key, start, min(start + RANGE_BYTES, item.size) - 1)


async def _refer(writer: ArchiveWriter, storage: Storage, taken: Taken) -> None:
    """A line for every object, which stays where it is."""
    lines = bytearray()
    number = 0

    async def flush() -> None:
        nonlocal number
        number += 1
        await writer.add(f"{archive.REFERENCES}{number:06}", bytes(lines))
        lines.clear()

    async for item in storage.each(""):
        lines += json.dumps({"key": item.key, "size": item.size}).encode() + b"\n"
        taken.objects += 1
        taken.object_bytes += item.size
        if len(lines) >= archive.PIECE:
            await flush()
    if lines:
        await flush()
