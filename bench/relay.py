"""A TCP relay on loopback that notes when it was connected to, and can cut, freeze, slow down or answer what
goes through it.
"""

import asyncio
import contextlib
import time
from typing import Self


class Relay:
    """Forward every connection to a loopback port. ``cut()`` resets all of them; ``pause()`` lets nothing through."""

    def __init__(self, target_port: int) -> None:
        self.connected_at: float | None = None
        self.port = 0
        #: What whoever connects is told, instead of being let through.
        self.answer: bytes | None = None
        #: How fast one connection is, in either direction.
        self.bytes_per_s: float | None = None
        #: After how many bytes a connection is reset.
        self.cut_after: int | None = None
        self._target_port = target_port
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[object]] = set()

    def cut(self) -> None:
        """Reset every connection, as a lost uplink does."""
        for writer in self._writers:
            writer.transport.abort()

    def pause(self) -> None:
        """Hold everything back without closing: a frozen encoder, or a dead link that nobody has noticed."""
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.resume()
        self.cut()
        await self._server.wait_closed()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected_at = time.time()
        own = asyncio.current_task()
        assert own is not None
        self._serving.add(own)
        self._writers.add(writer)
        try:
            await self._forward(reader, writer)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            self._serving.discard(own)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.answer is not None:
            await reader.read(65536)
            writer.write(self.answer)
            await writer.drain()
            return
        onward_reader, onward_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._writers.add(onward_writer)
        try:
            await asyncio.gather(
                self._pump(reader, onward_writer), self._pump(onward_reader, writer)
            )
        finally:
            self._writers.discard(onward_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            passed = 0
            while data := await reader.read(65536):
                await self._open.wait()
                passed += len(data)
                if self.cut_after is not None and passed > self.cut_after:
                    writer.transport.abort()
                    break
                writer.write(data)
                await writer.drain()
                if self.bytes_per_s is not None:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
        writer.close()
