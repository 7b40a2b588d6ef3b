"""The one way into every room: messages are accepted over a connection to Redis of their own.

A new connection may be to a Redis that was restarted and has lost its last moment, so the script is told which
life of the server its caller believes to speak to.

What came while the last batch was under way goes out in one write, and answers come back in its order. A
client from the pool for each message, with everything that it brings along, took twice the processor time.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError

from core.bus import obey_cancellation

Word = str | bytes | int


class Passage:
    """One call of the script: its keys and arguments, and the answer that somebody waits for."""

    __slots__ = ("answer", "words")

    def __init__(self, words: tuple[Any, ...], answer: asyncio.Future[Any]) -> None:
        self.words = words
        self.answer = answer


class Turnstile:
    """Calls of one script, which may be called twice with the same arguments without harm. Its last
    argument is the `run_id` of the server that the connection was made to.
    """

    def __init__(self, redis: Redis, script: str) -> None:
        self._script = script
        self._sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._connection: AbstractConnection = (
            redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        )
        self._run = b""
        self._waiting: list[Passage] = []
        self._wake = asyncio.Event()

    async def pass_through(self, keys: Sequence[str], args: Sequence[Word]) -> Any:
        """What the script answers. Raises RedisError, OSError."""
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(Passage((len(keys), *keys, *args), answer))
        self._wake.set()
        return await answer

    async def run(self) -> None:
        """Serve whoever waits, for ever."""
        batch: list[Passage] = []
        try:
            while True:
                obey_cancellation()
                await self._wake.wait()
                self._wake.clear()
                batch, self._waiting = self._waiting, []
                try:
                    await self._serve(batch)
                except (RedisError, OSError) as error:
                    # Who came meanwhile has waited for the same Redis, and would wait as long again.
                    batch += self._waiting
                    self._waiting = []
                    for passage in batch:
                        if not passage.answer.done():
                            passage.answer.set_exception(error)
        finally:
            for passage in (*batch, *self._waiting):
                passage.answer.cancel()
            await self._connection.disconnect()

    async def _serve(self, batch: list[Passage]) -> None:
        try:
            await self._send(batch)
        except RedisConnectionError:
            # The connection may be from before a restart. What was answered is not asked again.
            await self._send([passage for passage in batch if not passage.answer.done()])

    async def _send(self, batch: Sequence[Passage]) -> None:
        connection = self._connection
        if not connection.is_connected:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("INFO", "server")
            self._run = run_id(await connection.read_response())
        again = await self._exchange(batch)
        if again:
            await connection.send_command("SCRIPT", "LOAD", self._script)
            await connection.read_response()
            await self._exchange(again)

    async def _exchange(self, batch: Sequence[Passage]) -> list[Passage]:
        """Send and answer; those for which Redis did not know the script."""
        connection = self._connection
        packed = b"".join(
            hiredis.pack_command(("EVALSHA", self._sha, *passage.words, self._run))
            for passage in batch
        )
        # Not checked before: that would make a new connection without our notice.
        await connection.send_packed_command(packed, check_health=False)
        unknown = []
        for passage in batch:
            try:
                found = await connection.read_response()
            except NoScriptError:
                unknown.append(passage)
            except ResponseError as error:
                if not passage.answer.done():
                    passage.answer.set_exception(error)
            else:
                if not passage.answer.done():
                    passage.answer.set_result(found)
        return unknown


def run_id(info: bytes | str) -> bytes:
    """Which life of the server its `INFO` is from."""
    text = info.encode() if isinstance(info, str) else info
    found = re.search(rb"^run_id:(\w+)", text, re.MULTILINE)
    return found[1] if found else b""
