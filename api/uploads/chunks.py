"""Bytes on their way into the object storage: `uploads/<id>/<offset>-<random>`, chunk after chunk.

What is stored counts once the row says so. The row's `received` fences: of two requests that go on from
the same offset, the one that writes first goes on and the other is told.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from aiohttp import ClientError, StreamReader, web
from sqlalchemy import update

from api.uploads.tus import Checksum
from core.db.engine import Database
from core.db.models import Json
from core.db.video_models import Upload, UploadState
from core.errors import Conflict, NotFound, Unavailable
from core.logs import logger
from core.storage import Storage

log = logger(__name__)

CHUNK_BYTES = 8 * 1024 * 1024
#: A last chunk smaller than this is taken up again, so that small requests do not make countless objects.
SMALLEST_BYTES = 1024 * 1024
READ_BYTES = 256 * 1024
#: A client that sends nothing for so long has gone.
SILENCE_S = 60.0


class BadChecksum(Exception):
    """A request's body was not what its checksum says: nothing of it was kept."""


class TooMuch(Exception):
    """A request has more bytes than the upload lacks."""


def folder(upload_id: UUID) -> str:
    """Where the chunks of an upload are."""
    return f"uploads/{upload_id}/"


@dataclass
class Receiver:
    """One request's body into an upload."""

    database: Database
    storage: Storage
    upload_id: UUID
    size: int
    chunks: list[Json]
    received: int
    life: timedelta
    checksum: Checksum | None = None

    def __post_init__(self) -> None:
        self._buffer = bytearray()
        self._kept = self.received
        # Objects that are stored and not yet written down (all of a body whose checksum comes at its
        # end), and one that a larger one takes the place of.
        self._new: list[str] = []
        self._replaced: list[str] = []

    async def take(self, body: StreamReader) -> int:
        """Store the body; how many bytes of the upload there are then.

        What came before a connection broke is kept, but for a body with a checksum. Raises Conflict
        (`offset_conflict`), BadChecksum, TooMuch, Unavailable.
        """
        await self._take_up()
        try:
            await self._read(body)
        except (ClientError, ConnectionError, web.RequestPayloadError, TimeoutError):
            if self.checksum is None:
                await self._keep()
            raise
        except TooMuch:
            await self._remove(self._new)
            raise
        if self.checksum is not None and not self.checksum.good:
            await self._remove(self._new)
            raise BadChecksum
        await self._keep()
        return self.received

    async def _keep(self) -> None:
        """Store and write down what has come."""
        await self._store()
        await self._write_down()

    async def _take_up(self) -> None:
        """Go on with a last chunk that is small."""
        if self.chunks and self.chunks[-1]["size"] < SMALLEST_BYTES:
            last = self.chunks[-1]
            try:
                self._buffer += await self.storage.get(last["key"])
            except NotFound as error:
                raise Unavailable("A part of this upload cannot be read just now.") from error
            self.chunks = self.chunks[:-1]
            self.received -= last["size"]
            self._replaced.append(last["key"])

    async def _read(self, body: StreamReader) -> None:
        while True:
            async with asyncio.timeout(SILENCE_S):
                data = await body.read(READ_BYTES)
            if not data:
                return
            if self.received + len(self._buffer) + len(data) > self.size:
                raise TooMuch
            if self.checksum is not None:
                self.checksum.add(data)
            self._buffer += data
            if len(self._buffer) >= CHUNK_BYTES:
                await self._store()
                if self.checksum is None:
                    await self._write_down()

    async def _store(self) -> None:
        if not self._buffer:
            return
        data = bytes(self._buffer)
        # A name of its own: another request may be storing at the same offset.
        key = f"{folder(self.upload_id)}{self.received:016d}-{secrets.token_hex(4)}"
        self._new.append(key)
        await self.storage.put(key, data)
        self._buffer.clear()
        self.chunks = [*self.chunks, {"key": key, "size": len(data)}]
        self.received += len(data)

    async def _write_down(self) -> None:
        if self.received == self._kept:
            return
        mine = (
            Upload.id == self.upload_id,
            Upload.received == self._kept,
            Upload.state == UploadState.RECEIVING,
        )
        values = {
            "received": self.received,
            "chunks": self.chunks,
            "expires_at": datetime.now(UTC) + self.life,
        }
        async with self.database.session() as session:
            changed = await session.scalar(
                update(Upload).where(*mine).values(values).returning(Upload.id)
            )
        if changed is None:
            await self._remove(self._new)
            raise Conflict("Another request goes on with this upload.", code="offset_conflict")
        self._kept = self.received
        self._new.clear()
        await self._remove(self._replaced)
        self._replaced.clear()

    async def _remove(self, keys: Sequence[str]) -> None:
        try:
            await self.storage.delete(*keys)
        except Unavailable as error:
            # They go with the upload.
            log.warning("chunks_stay", reason=error.message)
