"""Child processes: started without a shell, gone when we are, their last words kept."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from core.logs import logger
from core.stderr import lines
from ingest.confined import Launcher, Reach

log = logger(__name__)

STDERR_LINES = 40
LINE_LIMIT = 4096
#: Below the size from which malloc maps and unmaps memory for every single read.
READ_BYTES = 64 * 1024
#: How often pipes are read: with each frame or two, four times a part.
BEAT_MS = 50
#: 200 Mb/s. Whatever is more than this waits for the next beat.
READS_A_BEAT = 16
#: Room for most of a second of video while the loop is busy; the default of 64 kB is a sixth of one.
PIPE_BYTES = 256 * 1024


def widen(pipe: int) -> None:
    """Give a pipe more room, where the user's quota of pipe memory still allows it."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class Child:
    """A running program in a process group of its own."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stderr: asyncio.StreamReader,
        name: str,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.tail: deque[str] = deque(maxlen=STDERR_LINES)
        self._process = process
        self._stderr = stderr
        self._on_line = on_line
        self._over = asyncio.Event()
        # Readable when it has ended.
        self._handle = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._handle, self._ended)
        self._reading = asyncio.create_task(self._read_stderr(), name=f"stderr-{name}")

    @classmethod
    async def start(
        cls,
        launcher: Launcher,
        argv: Sequence[str],
        name: str,
        *,
        reach: Reach,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
        on_line: Callable[[str], None] | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Child:
        """Start `argv`; the descriptors given are the caller's to close. Raises OSError.

        `on_line` is given every line of its stderr.
        """
        # Connected first: from the moment it runs nothing is waited for, so nobody can be cancelled who does
        # not know yet what there is to end.
        stderr, transport, write = await _stderr()
        try:
            process = await launcher.start(
                argv,
                reach,
                stdin=stdin,
                stdout=stdout,
                stderr=write,
                pass_fds=pass_fds,
                environment=environment,
            )
        except BaseException:
            transport.close()
            raise
        finally:
            os.close(write)
        return cls(process, stderr, name, on_line)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._handle)
        os.close(self._handle)
        self._process.wait()
        self._over.set()

    async def _read_stderr(self) -> None:
        async for line in lines(self._stderr, 500):
            self.tail.append(line)
            if self._on_line is not None:
                self._on_line(line)

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def wait(self) -> int:
        """Exit status, once it is there and stderr has been read."""
        await self._over.wait()
        await asyncio.wait({self._reading}, timeout=1)
        return self._process.wait()

    def kill(self) -> None:
        """End it and whatever it started, now."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def close(self) -> int:
        """Kill it if it still runs, and reap it."""
        self.kill()
        status = await self.wait()
        self._reading.cancel()
        return status


async def _stderr() -> tuple[asyncio.StreamReader, asyncio.ReadTransport, int]:
    """What a program will say: where it is read, and the descriptor that it is given."""
    read, write = os.pipe()
    stderr = asyncio.StreamReader(limit=LINE_LIMIT)
    try:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stderr), os.fdopen(read, "rb", buffering=0)
        )
    except BaseException:
        os.close(write)
        raise
    return stderr, transport, write


class PipeReader:
    """Calls `on_data` with what comes out of a pipe and `on_end` once, on the event loop.

    All pipes are read at the same moments, every `BEAT_MS`, rather than whenever something is in one of
    them: ffmpeg writes 75 packets a second and stream, and waking for each costs both sides more than
    handling it. It also makes one write to the edges of what several streams publish.
    """

    def __init__(
        self, pipe: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]
    ) -> None:
        self._pipe = pipe
        self._on_data = on_data
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None
        os.set_blocking(pipe, False)

    def start(self) -> None:
        """Begin to read; until then the writer fills the pipe."""
        if self._pipe >= 0 and self._next is None:
            self._read()

    def _read(self) -> None:
        # The beats are multiples of BEAT_MS, so that all readers share them without knowing each other.
        beat = round(self._loop.time() * 1000) // BEAT_MS + 1
        self._next = self._loop.call_at(beat * BEAT_MS / 1000, self._read)
        for _ in range(READS_A_BEAT):
            try:
                data = os.read(self._pipe, READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                self._on_end()
                return
            self._on_data(data)
            if len(data) < READ_BYTES or self._pipe < 0:
                return

    def close(self) -> None:
        """Stop reading, without `on_end`."""
        if self._pipe >= 0:
            if self._next is not None:
                self._next.cancel()
            os.close(self._pipe)
            self._pipe = -1


class PipeWriter:
    """Writes into a pipe without ever waiting: what does not fit is held, up to `limit` bytes.

    `on_overflow` is called once when the other side has fallen too far behind or is gone.
    """

    def __init__(self, pipe: int, limit: int, on_overflow: Callable[[], None]) -> None:
        self._pipe = pipe
        self._limit = limit
        self._on_overflow = on_overflow
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._held = 0
        self._closing = False
        os.set_blocking(pipe, False)

    @property
    def held(self) -> int:
        """Bytes that the reader has not taken yet."""
        return self._held

    def write(self, data: bytes) -> None:
        """Queue `data`. After an overflow or `finish` it is thrown away."""
        if self._pipe < 0 or self._closing or not data:
            return
        if not self._waiting:
            data = self._try(data)
            if not data or self._pipe < 0:
                return
            self._loop.add_writer(self._pipe, self._writable)
        self._waiting.append(data)
        self._held += len(data)
        if self._held > self._limit:
            self._fail()

    def finish(self) -> None:
        """Close the pipe once everything is written: the reader then sees its end."""
        self._closing = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Close the pipe at once."""
        if self._pipe >= 0:
            self._loop.remove_writer(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
            self._waiting.clear()
            self._held = 0

    def _try(self, data: bytes) -> bytes:
        try:
            return data[os.write(self._pipe, data) :]
        except BlockingIOError:
            return data
        except OSError:
            self._fail()
            return b""

    def _writable(self) -> None:
        while self._waiting:
            data = self._waiting.popleft()
            rest = self._try(data)
            if self._pipe < 0:
                return
            self._held -= len(data) - len(rest)
            if rest:
                self._waiting.appendleft(rest)
                return
        self._loop.remove_writer(self._pipe)
        if self._closing:
            self.close()

    def _fail(self) -> None:
        self.close()
        self._on_overflow()
