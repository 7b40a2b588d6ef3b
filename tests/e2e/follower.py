"""A player without a picture: it follows a live stream by blocking reloads and keeps all it was given.

Every segment and part that a playlist lists is fetched once. What came is then held against what was
published: byte for byte, frame by frame, and every playlist against the rules.
"""

from __future__ import annotations

import asyncio
import io
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any
from urllib.parse import urljoin

import aiohttp
import av

from tests import playlist_validator
from tests.playlist_validator import Playlist, Segment, parse_media

#: How long a stream may show nothing new before following it is given up, seconds.
PATIENCE_S = 40.0
#: A player that got no answer, or a 5xx, asks again: after so long, and so often for one file.
RETRY_S = 0.1
DOWNLOADS = 50


@dataclass
class Answer:
    """One playlist as it came: when (monotonic and Unix time) and how long it was waited for."""

    text: str
    at: float
    wall: float
    waited_s: float

    @cached_property
    def joints(self) -> int:
        """Discontinuities since the stream's start, those that have left the playlist included."""
        gone = re.search(r"^#EXT-X-DISCONTINUITY-SEQUENCE:(\d+)$", self.text, re.M)
        return int(gone[1] if gone else 0) + self.text.count("#EXT-X-DISCONTINUITY\n")


@dataclass
class Rendition:
    """What was seen of one rendition."""

    name: str
    url: str
    playlists: list[Answer] = field(default_factory=list)
    deltas: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    segments: dict[int, Segment] = field(default_factory=dict)
    #: Answers other than 200, (status, URL): a stream that runs well gives none.
    failures: list[tuple[int, str]] = field(default_factory=list)

    @property
    def latest(self) -> Playlist:
        return parse_media(self.playlists[-1].text)

    @property
    def ended(self) -> bool:
        return bool(self.playlists) and self.latest.ended

    def findings(self) -> list[str]:
        """Every breach of the playlist rules, and every difference between segments and parts."""
        found = playlist_validator.check_history([answer.text for answer in self.playlists])
        for full, delta in self.deltas:
            found += playlist_validator.check_delta(full, delta)
        for segment in self.segments.values():
            parts = [self.files.get(part.uri) for part in segment.parts]
            if segment.uri and parts and None not in parts:
                if b"".join(part or b"" for part in parts) != self.files[segment.uri]:
                    found.append(f"segment {segment.msn} is not the sum of its parts")
        numbers = sorted(self.segments)
        if numbers != list(range(numbers[0], numbers[-1] + 1)):
            found.append(f"segments are missing: {numbers}")
        return found + [f"{status} for {url}" for status, url in self.failures]

    def stretches(self) -> list[tuple[str, bytes]]:
        """The media in order: one fragmented MP4 for each run of segments under one init."""
        runs: list[tuple[str, list[bytes]]] = []
        for _, segment in sorted(self.segments.items()):
            if not runs or segment.discontinuity or runs[-1][0] != segment.map_uri:
                runs.append((segment.map_uri, [self.files[segment.map_uri]]))
            if segment.uri:
                runs[-1][1].append(self.files[segment.uri])
            else:
                runs[-1][1].extend(self.files[part.uri] for part in segment.parts)
        return [(name, b"".join(pieces)) for name, pieces in runs]

    def discontinuities(self) -> int:
        """How many were seen."""
        return sum(segment.discontinuity for segment in self.segments.values())

    def arrivals(self) -> list[float]:
        """When playlists that say something new came, on the monotonic clock."""
        return [answer.at for answer in self.playlists]

    def longest_gap(self, after: float, before: float = float("inf")) -> float:
        """The longest time without a new playlist among those that came between two times, s."""
        times = [after, *(at for at in self.arrivals() if after <= at <= before)]
        return max((b - a for a, b in pairwise(times)), default=float("inf"))


def access_units(media: bytes) -> Iterator[tuple[str, float, bytes]]:
    """Packets in a fragmented MP4 in decoding order: ("video" or "audio", presentation time in
    seconds, bytes).
    """
    with av.open(io.BytesIO(media), "r", format="mov") as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                yield packet.stream.type, float(packet.pts * packet.time_base), bytes(packet)


@dataclass
class Follower:
    """Follows all renditions (or those named) of one channel's stream from when it is there."""

    http: str
    login: str
    only: tuple[str, ...] = ()
    #: Ask for a delta update as well, each so many playlists.
    delta_every: int = 10
    multivariant: str = ""
    renditions: dict[str, Rendition] = field(default_factory=dict)

    @property
    def source(self) -> Rendition:
        return self.renditions["source"]

    async def run(self) -> None:
        """From the first multivariant playlist until every rendition has ended or is gone."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as client:
            await self._open(client)
            async with asyncio.TaskGroup() as tasks:
                for rendition in self.renditions.values():
                    tasks.create_task(self._follow(client, rendition))

    async def _open(self, client: aiohttp.ClientSession) -> None:
        await wait_for_state(client, self.http, self.login, "live")
        url = f"{self.http}/live/{self.login}/index.m3u8"
        async with client.get(url) as answer:
            assert answer.status == 200, (answer.status, await answer.text())
            self.multivariant = await answer.text()
        for line in self.multivariant.splitlines():
            if line and not line.startswith("#"):
                name = line.split("/")[-2]
                if not self.only or name in self.only:
                    self.renditions[name] = Rendition(name, urljoin(url, line))

    async def _follow(self, client: aiohttp.ClientSession, rendition: Rendition) -> None:
        query = ""
        async with asyncio.TaskGroup() as downloads:
            while True:
                playlist = await self._reload(client, rendition, query)
                if playlist is None:
                    return
                self._fetch(client, rendition, playlist, downloads)
                if playlist.ended:
                    return
                query = next_query(playlist)

    async def _reload(
        self, client: aiohttp.ClientSession, rendition: Rendition, query: str
    ) -> Playlist | None:
        """The playlist with the part that `query` asks for. None when the stream has gone."""
        asked = time.monotonic()
        while time.monotonic() < asked + PATIENCE_S:
            status, text = await _get(client, rendition.url + query)
            if status == 200:
                break
            rendition.failures.append((status, rendition.url + query))
            if status == 404:
                return None
            await asyncio.sleep(RETRY_S)
        else:
            raise AssertionError(f"nothing new of {rendition.name} in {PATIENCE_S} s")
        now = time.monotonic()
        rendition.playlists.append(Answer(text.decode(), now, time.time(), now - asked))
        if query and len(rendition.playlists) % self.delta_every == 0:
            await self._delta(client, rendition, query)
        return rendition.latest

    async def _delta(self, client: aiohttp.ClientSession, rendition: Rendition, query: str) -> None:
        """Keep the delta update of this moment, when the playlist did not go on meanwhile."""
        before = rendition.playlists[-1].text
        status, delta = await _get(client, f"{rendition.url}{query}&_HLS_skip=YES")
        _, after = await _get(client, rendition.url + query)
        if status == 200 and b"#EXT-X-SKIP" in delta and after.decode() == before:
            rendition.deltas.append((before, delta.decode()))

    def _fetch(
        self,
        client: aiohttp.ClientSession,
        rendition: Rendition,
        playlist: Playlist,
        downloads: asyncio.TaskGroup,
    ) -> None:
        for segment in playlist.segments:
            known = rendition.segments.setdefault(segment.msn, segment)
            known.uri, known.duration = segment.uri, segment.duration
            known.parts = segment.parts or known.parts
            for name in (segment.map_uri, segment.uri, *(part.uri for part in segment.parts)):
                if name and name not in rendition.files:
                    rendition.files[name] = b""
                    downloads.create_task(self._download(client, rendition, name))

    async def _download(
        self, client: aiohttp.ClientSession, rendition: Rendition, name: str
    ) -> None:
        url = urljoin(rendition.url, name)
        for _ in range(DOWNLOADS):
            status, rendition.files[name] = await _get(client, url)
            if status == 200:
                return
            rendition.failures.append((status, url))
            if status == 404:
                return
            await asyncio.sleep(RETRY_S)


async def _get(client: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    """Status and body; 0 when there was no answer."""
    try:
        async with client.get(url) as answer:
            return answer.status, await answer.read()
    except (aiohttp.ClientError, ConnectionError):
        return 0, b""


def next_query(playlist: Playlist) -> str:
    """The delivery directives that ask for the part after the last one (6.2.5.2)."""
    last = playlist.segments[-1]
    if last.uri:
        return f"&_HLS_msn={last.msn + 1}&_HLS_part=0"
    return f"&_HLS_msn={last.msn}&_HLS_part={len(last.parts)}"


async def wait_for_state(
    client: aiohttp.ClientSession, http: str, login: str, *wanted: str, within_s: float = 30.0
) -> dict[str, Any]:
    """The channel's live state once it is one of `wanted`, by the edge's long poll."""
    async with asyncio.timeout(within_s):
        version = ""
        while True:
            url = f"{http}/live/{login}/state{'?v=' if version else ''}{version}"
            async with client.get(url) as answer:
                state: dict[str, Any] = await answer.json()
            if state["state"] in wanted:
                return state
            version = state["version"]
