"""A broadcast without an encoder: parts of a fixed size and LL-HLS playlists, published to an edge as `ingest` does."""

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

TARGET_DURATION = 4
PARTS_PER_SEGMENT = 10
PART_TARGET = 0.2
LISTED_SEGMENTS = 6
# Parts of the last three target durations are listed.
LISTED_PARTS = int(3 * TARGET_DURATION / PART_TARGET)
RENDITION = "source"


@dataclass
class Feed:
    """One session of one rendition. ``bitrate`` in bit/s, ``media`` the edge's media folder."""

    internal: Path
    media: Path
    login: str = "bench"
    session: str = "benchsession"
    bitrate: int = 3_000_000
    number: int = -1
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.media / self.session / RENDITION
        self.folder.mkdir(parents=True, exist_ok=True)
        self._part = os.urandom(int(self.bitrate * PART_TARGET / 8))

    async def __aenter__(self) -> "Feed":
        self._http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.internal)))
        await self._put(
            f"sessions/{self.session}", f"#EXTM3U\n{self.session}/{RENDITION}/index.m3u8?p={{p}}\n"
        )
        await self._put(f"channels/{self.login}", '{"state":"live"}', {"X-Session": self.session})
        # A window's worth at once, so that viewers find a stream that has been running for a while.
        for _ in range(LISTED_SEGMENTS * PARTS_PER_SEGMENT + 3):
            await self.publish()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    @property
    def position(self) -> tuple[int, int]:
        """Sequence number and part index of the last part. The session begins with segment 1."""
        return 1 + self.number // PARTS_PER_SEGMENT, self.number % PARTS_PER_SEGMENT

    async def publish(self) -> None:
        """Write the next part, then post the playlists that name it."""
        self.number += 1
        msn, index = self.position
        self.write(f"part-{self.number}.m4s", self._part)
        if index == PARTS_PER_SEGMENT - 1:
            self.write(f"seg-{msn}.m4s", self._part * PARTS_PER_SEGMENT)
        await self._post()
        self._expire(msn)

    def write(self, name: str, data: bytes) -> None:
        """A media file, there at once as a whole."""
        growing = self.folder / f"{name}~"
        growing.write_bytes(data)
        growing.rename(self.folder / name)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish a part every 0.2 s until ``stop`` is set."""
        due = time.monotonic()
        while not stop.is_set():
            due += PART_TARGET
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), due - time.monotonic())
            await self.publish()

    async def _post(self) -> None:
        msn, index = self.position
        complete = msn if index == PARTS_PER_SEGMENT - 1 else msn - 1
        whole, delta = (
            self.playlist(skip=0),
            self.playlist(skip=max(0, min(LISTED_SEGMENTS, complete) - 3)),
        )
        headers = {
            "X-Msn": str(msn),
            "X-Part": str(index),
            "X-Complete-Msn": str(complete),
            "X-Part-Number": str(self.number),
            "X-Target-Duration": str(TARGET_DURATION),
            "X-Part-Target": str(PART_TARGET),
            "X-Ended": "0",
            "X-Delta-Length": str(len(delta)),
        }
        await self._put(f"playlists/{self.session}/{RENDITION}", whole + delta, headers)

    async def _put(self, path: str, body: str, headers: dict[str, str] | None = None) -> None:
        async with self._http.put(
            f"http://edge/{path}", data=body.encode(), headers=headers
        ) as answer:
            answer.raise_for_status()

    def _expire(self, msn: int) -> None:
        oldest = self.number - 2 * LISTED_PARTS
        (self.folder / f"part-{oldest}.m4s").unlink(missing_ok=True)
        (self.folder / f"seg-{msn - 3 * LISTED_SEGMENTS}.m4s").unlink(missing_ok=True)

    def playlist(self, skip: int) -> str:
        """The playlist as it is now; with ``skip`` > 0 its delta update."""
        msn, index = self.position
        complete = msn if index == PARTS_PER_SEGMENT - 1 else msn - 1
        first = max(1, complete - LISTED_SEGMENTS + 1)
        lines = [
            "#EXTM3U",
            f"#EXT-X-TARGETDURATION:{TARGET_DURATION}",
            "#EXT-X-VERSION:9",
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={3 * PART_TARGET:.3f},"
            f"CAN-SKIP-UNTIL={6 * TARGET_DURATION}.0,HOLD-BACK={3 * TARGET_DURATION}.0",
            f"#EXT-X-PART-INF:PART-TARGET={PART_TARGET:.5f}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
        ]
        lines += (
            [f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skip}"] if skip else ['#EXT-X-MAP:URI="init-0.mp4"']
        )
        for segment in range(first + skip, msn + 1):
            lines += self._segment(
                segment, last=index if segment == msn else PARTS_PER_SEGMENT - 1, complete=complete
            )
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-{self.number + 1}.m4s"')
        lines.append(
            f'#EXT-X-RENDITION-REPORT:URI="../audio/index.m3u8",LAST-MSN={msn},LAST-PART={index}'
        )
        return "\n".join([*lines, ""])

    def _segment(self, segment: int, last: int, complete: int) -> list[str]:
        second = 2 * segment % 60
        lines = [f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{second:02}.000Z"]
        for part in range(last + 1):
            number = (segment - 1) * PARTS_PER_SEGMENT + part
            if number > self.number - LISTED_PARTS:
                independent = ",INDEPENDENT=YES" if part == 0 else ""
                lines.append(
                    f'#EXT-X-PART:DURATION={PART_TARGET:.5f},URI="part-{number}.m4s"{independent}'
                )
        if segment <= complete:
            lines += [f"#EXTINF:{PARTS_PER_SEGMENT * PART_TARGET:.5f},", f"seg-{segment}.m4s"]
        return lines
