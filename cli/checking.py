"""Reading an archive of `footlight backup`: opened, checked in whole, and told about."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cli import archive
from cli.age import MAGIC, NotOpened, Opener
from cli.archive import BadArchive, Members, Source
from cli.places import Place, read_back
from core.settings import Settings


@dataclass
class Contents:
    """What an archive holds."""

    manifest: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    members: int = 0
    objects: int = 0
    object_bytes: int = 0
    database_bytes: int = 0

    def take(self, name: str, content: bytes) -> None:
        """The members that are small and come first."""
        if name == archive.MANIFEST:
            self.manifest = _manifest(content)
        elif name.startswith(archive.SECRETS):
            self.secrets[name.removeprefix(archive.SECRETS)] = content


def _manifest(content: bytes) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(content)
        version = int(manifest["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadArchive("It does not say what it is of.") from error
    if version > archive.FORMAT:
        raise BadArchive(
            f"It was made by a newer Footlight ({manifest.get('release')}): restore it with that one."
        )
    return manifest


class _Opened:
    """A source whose bytes are opened on their way."""

    def __init__(self, source: Source, first: bytes, opener: Opener) -> None:
        self._source = source
        self._opener: Opener | None = opener
        self._plain = bytearray(opener.open(first))

    async def read(self, most: int) -> bytes:
        while not self._plain and self._opener is not None:
            data = await self._source.read(archive.PIECE)
            if data:
                self._plain += self._opener.open(data)
            else:
                self._plain += self._opener.end()
                self._opener = None
        piece = bytes(self._plain[:most])
        del self._plain[:most]
        return piece


class _Begun:
    """A source whose first bytes were read to see what it is."""

    def __init__(self, source: Source, first: bytes) -> None:
        self._source, self._first = source, first

    async def read(self, most: int) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return await self._source.read(most)


@asynccontextmanager
async def opened(
    settings: Settings | None, place: Place | None, passphrase: str
) -> AsyncIterator[Members]:
    """The members of the archive at `place`. Raises BadArchive, also inside the block."""
    try:
        async with read_back(settings, place) as source:
            first = await source.read(archive.PIECE)
            plain: Source = _Begun(source, first)
            if first.startswith(MAGIC):
                if not passphrase:
                    raise BadArchive(
                        "It is encrypted: say with --passphrase-file where its passphrase is."
                    )
                plain = _Opened(source, first, Opener(passphrase))
            async with aclosing(archive.members(plain)) as members:
                yield members
    except NotOpened as problem:
        raise BadArchive(str(problem)) from problem


async def check(settings: Settings | None, place: Place | None, passphrase: str) -> Contents:
    """Read all of it and compare it with its sums. Raises BadArchive."""
    contents = Contents()
    async with opened(settings, place, passphrase) as members:
        async for member in members:
            contents.members += 1
            if contents.members == 1 and member.name != archive.MANIFEST:
                raise BadArchive("It is no backup of Footlight.")
            if member.name == archive.MANIFEST or member.name.startswith(archive.SECRETS):
                contents.take(member.name, await member.whole())
            elif member.name.startswith(archive.DATABASE):
                contents.database_bytes += member.size
            elif member.name.startswith(archive.OBJECTS):
                contents.objects += 1
                contents.object_bytes += member.size
            elif member.name.startswith(archive.REFERENCES):
                for _, size in references(await member.whole()):
                    contents.objects += 1
                    contents.object_bytes += size
    if "secret_key" not in contents.secrets or not contents.database_bytes:
        raise BadArchive("It lacks the database or the secrets.")
    return contents


def references(content: bytes) -> list[tuple[str, int]]:
    """Keys and sizes of objects that stayed where they were."""
    lines = (json.loads(line) for line in content.splitlines())
    return [(str(line["key"]), int(line["size"])) for line in lines]
