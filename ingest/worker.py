"""The ffmpeg that subscribes to one publisher and hands over its packets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from core.logs import logger
from ingest import ffmpeg
from ingest.confined import Launcher, Reach
from ingest.process import Child, PipeReader, widen

log = logger(__name__)


class Worker:
    """One running subscription to the stream `name` in nginx.

    FLV goes to `on_data` once `open` was called; until then it waits in the pipe. `ended` is set when
    the pipe has ended or the worker was closed. `subscribed` is set, and `client` is its RTMP client
    id, once nginx has asked whether it may play.
    """

    def __init__(
        self, name: str, child: Child, pipe: int, on_data: Callable[[bytes], None]
    ) -> None:
        self.name = name
        self.child = child
        self.subscribed = asyncio.Event()
        self.client: int | None = None
        self.ended = asyncio.Event()
        self._reader = PipeReader(pipe, on_data, self.ended.set)

    @classmethod
    async def start(
        cls,
        launcher: Launcher,
        url: str,
        name: str,
        on_data: Callable[[bytes], None],
        *,
        transcode_audio: bool,
        on_late_track: Callable[[], None],
    ) -> Worker:
        """Start ffmpeg on `url`/`name`. Raises OSError when it cannot be started.

        `on_late_track` is called when sound (or picture) begins after ffmpeg had settled on what
        there is: it leaves that out until it is started again.
        """

        def on_line(line: str) -> None:
            if ffmpeg.tells_of_late_track(line):
                on_late_track()

        read, write = os.pipe()
        widen(read)
        argv = ffmpeg.source(launcher.program, f"{url}/{name}", transcode_audio=transcode_audio)
        try:
            child = await Child.start(
                launcher,
                argv,
                f"source-{name}",
                reach=Reach.RTMP,
                stdout=write,
                on_line=on_line,
                environment=ffmpeg.ONE_HEAP,
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        return cls(name, child, read, on_data)

    def joins(self, client: int) -> None:
        """nginx has asked whether it may play: it is RTMP client `client`."""
        self.client = client
        self.subscribed.set()

    def open(self) -> None:
        """Let the packets through."""
        self._reader.start()

    async def drain(self, patience_s: float) -> None:
        """Wait until everything nginx still had for it has come through, then end it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), patience_s)
        await self.close()

    async def close(self) -> int:
        """End it now; its exit status."""
        self._reader.close()
        self.ended.set()
        return await self.child.close()
