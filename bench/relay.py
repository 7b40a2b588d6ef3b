"""A TCP relay on loopback that notes when it was connected to, and can cut or freeze what goes through it."""

import asyncio
import contextlib
import time
from typing import Self


class Relay:
    """Forward every connection to a loopback port. ``cut()`` resets all of them; ``pause()`` lets nothing through."""

    def __init__(self, target_port: int) -> None:
        self.connected_at: float | None = None
        self.port = 0
        self._target_port = target_port
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected_at = time.time()
        with contextlib.suppress(ConnectionError):
            onward_reader, onward_writer = await asyncio.open_connection(
                "127.0.0.1", self._target_port
            )
            self._writers |= {writer, onward_writer}
            try:
                await asyncio.gather(
                    self._pump(reader, onward_writer), self._pump(onward_reader, writer)
                )
            finally:
                self._writers -= {writer, onward_writer}
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
