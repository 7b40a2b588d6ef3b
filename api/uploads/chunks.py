"""Bytes on their way into the object storage: `uploads/<id>/<offset>-<random>`, chunk after chunk.

What is stored counts once the row says so. The row's `received` fences: of two requests that go on from
the same offset, the one that writes first goes on and the other is told.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
from core.holding import removal
from core.logs import logger
from core.storage import Storage

log = logger(__name__)

# What may be received at the same time by one process; each takes some 16 MB.
RECEIVING_AT_ONCE = 48
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
        self._silence: asyncio.Timeout | None = None
        self._gives_way = False

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
            if self._gives_way:
                raise _another() from None
            raise
        except TooMuch:
            await self._remove(self._new)
            raise
        if self.checksum is not None and not self.checksum.good:
            await self._remove(self._new)
            raise BadChecksum
        await self._keep()
        return self.received

    def give_way(self) -> None:
        """Somebody else goes on with this upload: end with what has come. `take` raises Conflict."""
        self._gives_way = True
        if self._silence is not None:
            self._silence.reschedule(asyncio.get_running_loop().time())

    async def _keep(self) -> None:
        """Store and write down what has come."""
        if self.received + len(self._buffer) == self._kept:
            # Nothing but a last chunk that was taken up.
            return
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
            async with asyncio.timeout(0 if self._gives_way else SILENCE_S) as self._silence:
                data = await body.read(READ_BYTES)
            self._silence = None
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
        # Whole in the same moment: we may be killed before anybody is told.
        whole = self.received == self.size
        values = {
            "state": UploadState.COMPLETE if whole else UploadState.RECEIVING,
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
            raise _another()
        self._kept = self.received
        self._new.clear()
        await self._remove(self._replaced)
        self._replaced.clear()

    async def _remove(self, keys: Sequence[str]) -> None:
        try:
            async with removal(self.database) as may:
                if may:
                    await self.storage.delete(*keys)
        except Unavailable as error:
            # They go with the upload.
            log.warning("chunks_stay", reason=error.message)


def _another() -> Conflict:
    return Conflict("Another request goes on with this upload.", code="offset_conflict")


class Receiving:
    """The bodies that one process takes in: some at once, and of one upload one.

    The last to come has the word: of a connection that broke the server hears later than its client,
    who comes back meanwhile.
    """

    def __init__(self) -> None:
        self._running: dict[UUID, tuple[Receiver, asyncio.Event]] = {}

    async def make_way(self, upload_id: UUID) -> bool:
        """End what is being received of an upload; whether there was anything."""
        known = self._running.get(upload_id)
        if known is None:
            return False
        receiver, over = known
        receiver.give_way()
        await over.wait()
        return True

    @asynccontextmanager
    async def place(self, receiver: Receiver) -> AsyncIterator[None]:
        """A place among those that are received. Raises Unavailable, Conflict (`offset_conflict`)."""
        if len(self._running) >= RECEIVING_AT_ONCE:
            raise Unavailable(
                "Too many files arrive at once. Try again in a moment.", retry_after=5
            )
        if receiver.upload_id in self._running:
            raise _another()
        over = asyncio.Event()
        self._running[receiver.upload_id] = receiver, over
        try:
            yield
        finally:
            del self._running[receiver.upload_id]
            over.set()
