"""What a backup is: a tar file (POSIX pax), written and read as a stream.

    backup.json            what it is of: release, schema, time
    secrets/…              the master secret and those that were generated beside it
    database/000001 …      pg_dump's custom format, cut into pieces; `cat database/*` puts them together
    objects/<key> …        every object, or
    references/000001 …    a line of JSON for every object that stays where it is
    SHA256SUMS             of all of the above, as sha256sum writes and checks them

Pieces and the sums at the end are what lets it be written without knowing how long anything becomes,
and without holding more than a piece.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import IO, Protocol, Self

MANIFEST = "backup.json"
SECRETS = "secrets/"
DATABASE = "database/"
OBJECTS = "objects/"
REFERENCES = "references/"
SUMS = "SHA256SUMS"
FORMAT = 1
_BLOCK = 512
#: Read at once.
PIECE = 1 << 20
#: An extended header holds a name and a size; S3 allows keys of 1024 bytes.
_MOST_HEADER = 16 * 1024


class BadArchive(Exception):
    """What was read is no backup, or not a whole one; the message says why."""


class Sink(Protocol):
    """Where the archive's bytes go."""

    async def write(self, data: bytes) -> None: ...


class Source(Protocol):
    """Where they come from: up to `most` bytes, none at the end."""

    async def read(self, most: int) -> bytes: ...


class ArchiveWriter:
    """Writes members one after the other; `finish` adds the sums."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._left = 0
        self._size = 0
        self._digest = hashlib.sha256()
        self._name = ""
        self._sums: IO[bytes] = tempfile.TemporaryFile()
        self.members = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._sums.close()

    async def add(self, name: str, data: bytes) -> None:
        """A member that is at hand."""
        await self.begin(name, len(data))
        await self.write(data)

    async def begin(self, name: str, size: int) -> None:
        """The next member; its `size` bytes have to follow."""
        await self._sink.write(_header(name, size))
        self._name, self._left, self._size = name, size, size
        self._digest = hashlib.sha256()
        if size == 0:
            await self._end()

    async def write(self, data: bytes) -> None:
        """The next bytes of the member. Raises ValueError for more than were announced."""
        if not data:
            return
        if len(data) > self._left:
            raise ValueError(f"{self._name} has more than the {self._size} bytes announced")
        self._digest.update(data)
        await self._sink.write(data)
        self._left -= len(data)
        if self._left == 0:
            await self._end()

    async def _end(self) -> None:
        await self._sink.write(bytes(-self._size % _BLOCK))
        self._sums.write(_line(self._digest.hexdigest(), self._name))
        self.members += 1

    async def finish(self) -> None:
        """The sums, and the end."""
        if self._left:
            raise ValueError(f"{self._name} lacks {self._left} bytes")
        size = self._sums.tell()
        await self._sink.write(_header(SUMS, size))
        self._sums.seek(0)
        while piece := self._sums.read(PIECE):
            await self._sink.write(piece)
        await self._sink.write(bytes(-size % _BLOCK + 2 * _BLOCK))


def _line(digest: str, name: str) -> bytes:
    return f"{digest}  {name}\n".encode()


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    info.mtime = int(time.time())
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


class Member:
    """One file of the archive, while it passes."""

    def __init__(self, name: str, size: int, reader: _Blocks) -> None:
        self.name = name
        self.size = size
        self.digest = hashlib.sha256()
        self._left = size
        self._reader = reader

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes. Raises BadArchive when they end early."""
        while self._left:
            piece = await self._reader.some(min(self._left, PIECE))
            self._left -= len(piece)
            self.digest.update(piece)
            yield piece

    async def whole(self, most: int = 64 << 20) -> bytes:
        """All of its bytes, of a small one."""
        if self.size > most:
            raise BadArchive(f"{self.name} is larger than it can be.")
        return b"".join([piece async for piece in self.pieces()])

    async def pass_by(self) -> None:
        """Read on to its end."""
        async for _ in self.pieces():
            pass
        await self._reader.exactly(-self.size % _BLOCK)


class _Blocks:
    """Bytes of a source in the amounts that a reader asks for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ahead = bytearray()

    async def some(self, most: int) -> bytes:
        if not self._ahead:
            self._ahead += await self._source.read(max(most, PIECE))
        if not self._ahead:
            raise BadArchive("It ends early.")
        piece = bytes(self._ahead[:most])
        del self._ahead[:most]
        return piece

    async def exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            data += await self.some(count - len(data))
        return bytes(data)


Members = AsyncGenerator[Member, None]


async def members(source: Source) -> Members:
    """Every member but the sums, which are compared with what has passed at the end.

    Raises BadArchive when anything differs, is missing or was never finished: what came before has to be
    taken back then.
    """
    blocks = _Blocks(source)
    with tempfile.TemporaryFile() as passed:
        while True:
            name, size = await _next(blocks)
            member = Member(name, size, blocks)
            if name == SUMS:
                passed.seek(0)
                await _compare(member, passed)
                return
            yield member
            await member.pass_by()
            passed.write(_line(member.digest.hexdigest(), name))


async def _next(blocks: _Blocks) -> tuple[str, int]:
    extended: dict[str, str] = {}
    while True:
        block = await blocks.exactly(_BLOCK)
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeError) as error:
            raise BadArchive(
                "It is no backup of Footlight, or it is encrypted in a way unknown here, or damaged."
            ) from error
        if info.type == tarfile.XHDTYPE:
            if info.size > _MOST_HEADER:
                raise BadArchive("It is damaged: a header is too long.")
            padded = await blocks.exactly(info.size + -info.size % _BLOCK)
            extended = _records(padded[: info.size])
            continue
        if not info.isreg():
            raise BadArchive(f"It holds {info.name}, which is no plain file.")
        return extended.get("path", info.name), int(extended.get("size", info.size))


def _records(data: bytes) -> dict[str, str]:
    """pax records: "<length> <name>=<value>\\n", the length in decimal and of all of it."""
    records = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) + 3 < int(length) <= len(data):
            raise BadArchive("It is damaged: a header makes no sense.")
        record = data[len(length) + 1 : int(length) - 1]
        name, _, value = record.partition(b"=")
        records[name.decode()] = value.decode()
        data = data[int(length) :]
    return records


async def _compare(sums: Member, passed: IO[bytes]) -> None:
    """Raises BadArchive, naming the first member that is not as it was."""
    rest = b""
    async for piece in sums.pieces():
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        for line in lines:
            if passed.readline() != line + b"\n":
                raise BadArchive(f"It is damaged: {line[66:].decode(errors='replace')} differs.")
    if rest or passed.readline():
        raise BadArchive("It is damaged: its list of files is not that of its files.")
