"""The ffmpeg that decodes a source once and encodes its rungs."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.logs import logger
from core.rungs import Rung
from ingest import ffmpeg
from ingest.confined import Launcher, Reach
from ingest.ffmpeg import Encoder
from ingest.process import Child, PipeReader, PipeWriter, widen

log = logger(__name__)

#: What the transcoder may owe us before it counts as hopeless: 12 s of a 10 Mb/s source.
BACKLOG_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class _Output:
    rung: Rung
    reader: PipeReader
    ended: asyncio.Event


class Transcoder:
    """A running ladder. It is given a copy of the source, and never makes the source wait.

    Each rung's FLV goes to `on_data(rung name, bytes)`; `ended` is set when ffmpeg has gone or has
    fallen behind further than `BACKLOG_BYTES`.
    """

    def __init__(self, child: Child, stdin: int) -> None:
        self.child = child
        self.ended = asyncio.Event()
        self._outputs: list[_Output] = []
        self._writer = PipeWriter(stdin, BACKLOG_BYTES, self.ended.set)

    @classmethod
    async def start(
        cls,
        launcher: Launcher,
        rungs: Sequence[Rung],
        on_data: Callable[[str, bytes], None],
        *,
        encoder: Encoder,
        has_audio: bool,
        name: str,
    ) -> Transcoder:
        """Start ffmpeg for `rungs`. Raises OSError."""
        inner, outer = os.pipe()
        pipes = [os.pipe() for _ in rungs]
        for read, _ in pipes:
            widen(read)
        writes = [write for _, write in pipes]
        argv = ffmpeg.ladder(launcher.program, rungs, writes, encoder=encoder, has_audio=has_audio)
        reach = Reach.NOTHING if encoder is Encoder.X264 else Reach.HARDWARE
        try:
            child = await Child.start(
                launcher, argv, f"ladder-{name}", reach=reach, stdin=inner, pass_fds=writes
            )
        except BaseException:
            for pipe in (outer, *(read for read, _ in pipes)):
                os.close(pipe)
            raise
        finally:
            for pipe in (inner, *writes):
                os.close(pipe)
        self = cls(child, outer)
        for rung, (read, _) in zip(rungs, pipes, strict=True):
            self._add(rung, read, on_data)
        return self

    def _add(self, rung: Rung, pipe: int, on_data: Callable[[str, bytes], None]) -> None:
        ended = asyncio.Event()

        def end() -> None:
            ended.set()
            if all(output.ended.is_set() for output in self._outputs):
                self.ended.set()

        reader = PipeReader(pipe, lambda data: on_data(rung.name, data), end)
        self._outputs.append(_Output(rung, reader, ended))
        reader.start()

    def write(self, data: bytes) -> None:
        """Whole FLV tags of the source (the first time after its headers)."""
        self._writer.write(data)

    async def finish(self, patience_s: float) -> None:
        """No more input: let it flush its last pictures for so long, then end it."""
        self._writer.finish()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), patience_s)
        await self.close()

    async def close(self) -> int:
        """End it now; its exit status."""
        self._writer.close()
        for output in self._outputs:
            output.reader.close()
        self.ended.set()
        return await self.child.close()
