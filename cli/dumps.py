"""The database as a stream: pg_dump's custom format out of it, and pg_restore into another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.engine import make_url

from cli.instance import SetupError
from cli.toolchain import Program, Toolchain

#: A member of the archive holds that much of the dump, bytes.
PIECE_BYTES = 8 << 20
_TAIL_BYTES = 4000


def connection_environment(database_url: str) -> dict[str, str]:
    """libpq's variables for a SQLAlchemy URL: a password does not belong on a command line."""
    url = make_url(database_url)
    host = url.query.get("host", url.host or "")
    values = {
        "PGHOST": host if isinstance(host, str) else host[0],
        "PGPORT": str(url.port or ""),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
        "PGDATABASE": url.database or "",
        "PGSSLMODE": str(url.query.get("ssl") or url.query.get("sslmode") or ""),
    }
    return {name: value for name, value in values.items() if value}


async def dump(toolchain: Toolchain, database_url: str) -> AsyncIterator[bytes]:
    """The whole database as it is at one moment, in pieces. Raises SetupError."""
    arguments = ("--format=custom", "--no-owner", "--no-privileges", "--no-password")
    async with _running(toolchain.program("pg_dump"), arguments, database_url) as (process, tail):
        if process.stdout is None:
            raise RuntimeError("pg_dump has no output")
        while piece := await _piece(process.stdout):
            yield piece
        await _ended("pg_dump", process, tail)


async def _piece(stream: asyncio.StreamReader) -> bytes:
    data = bytearray()
    while len(data) < PIECE_BYTES:
        read = await stream.read(PIECE_BYTES - len(data))
        if not read:
            break
        data += read
    return bytes(data)


class Loading:
    """A pg_restore that is being fed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def write(self, data: bytes) -> None:
        """The next bytes of the dump. What is wrong with them is said at the end."""
        stdin = self._process.stdin
        if stdin is None or stdin.is_closing():
            return
        try:
            stdin.write(data)
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            stdin.close()


@asynccontextmanager
async def loading(toolchain: Toolchain, database_url: str) -> AsyncIterator[Loading]:
    """Load a dump into an empty database: all of it when the block ends, nothing when it raises.

    Raises SetupError when PostgreSQL does not take it.
    """
    environment = connection_environment(database_url)
    arguments = (
        f"--dbname={environment['PGDATABASE']}",
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        "--exit-on-error",
        "--single-transaction",
    )
    program = toolchain.program("pg_restore")
    async with _running(program, arguments, database_url, stdin=True) as (process, tail):
        yield Loading(process)
        if process.stdin is not None:
            process.stdin.close()
        await _ended("pg_restore", process, tail)


Tail = Callable[[], str]


@asynccontextmanager
async def _running(
    program: Program, arguments: tuple[str, ...], database_url: str, *, stdin: bool = False
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Tail]]:
    environment = {
        **os.environ,
        **program.environment,
        **connection_environment(database_url),
        "PGAPPNAME": "footlight-backup",
        "LC_ALL": "C.UTF-8",
    }
    process = await asyncio.create_subprocess_exec(
        str(program.path),
        *arguments,
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL if stdin else asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    said = bytearray()
    listening = asyncio.create_task(_listen(process, said), name="stderr")
    try:
        yield process, lambda: said.decode(errors="replace").strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening


async def _listen(process: asyncio.subprocess.Process, said: bytearray) -> None:
    if process.stderr is None:
        return
    while data := await process.stderr.read(4096):
        said += data
        del said[:-_TAIL_BYTES]


async def _ended(name: str, process: asyncio.subprocess.Process, tail: Tail) -> None:
    if await process.wait() != 0:
        raise SetupError(f"{name} ended with status {process.returncode}:\n{tail()}")
