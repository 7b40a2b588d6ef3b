"""Our side of nginx (ingest): who publishes and plays there, and dropping a publisher."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

import aiohttp

from core.errors import Unavailable
from core.settings import Settings

APPLICATION: Final = "live"
TIMEOUT_S = 2.0
# Client-chosen strings (flashver, addresses) are in the page; XML forbids these characters altogether.
_NOT_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What nginx (ingest) has done since its start: `accepted` connections and bytes; and its age."""

    accepted: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    uptime_s: int = 0


@dataclass(frozen=True, slots=True)
class Stat:
    """What nginx-rtmp serves at one moment. `publishers` maps stream name → RTMP client id."""

    boot: str
    publishers: Mapping[str, int]
    players: Mapping[str, frozenset[int]]
    traffic: Traffic = Traffic()


def parse_stat(boot: str, page: bytes) -> Stat:
    """Read the page of `rtmp_stat all`. Raises ValueError when it is not that."""
    try:
        root = ElementTree.fromstring(  # noqa: S314 (our own nginx's, without entities)
            _NOT_XML.sub(b"", page).decode("utf-8", "replace")
        )
    except ElementTree.ParseError as error:
        raise ValueError(f"not a stat page: {error}") from error
    publishers: dict[str, int] = {}
    players: dict[str, frozenset[int]] = {}
    for stream in root.iterfind("server/application/live/stream"):
        name = stream.findtext("name", "")
        playing = set()
        for client in stream.iterfind("client"):
            number = int(client.findtext("id", "0"))
            if client.find("publishing") is not None:
                publishers[name] = number
            else:
                playing.add(number)
        players[name] = frozenset(playing)
    numbers = (
        int(root.findtext(name, "0")) for name in ("naccepted", "bytes_in", "bytes_out", "uptime")
    )
    return Stat(boot, publishers, players, Traffic(*numbers))


class IngestNginx:
    """Client of nginx's loopback listener. Every call raises Unavailable when it does not answer."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        #: Told of every answer, None for one that did not come.
        self.seen: Callable[[Stat | None], None] = lambda _stat: None
        self._http = http
        self._url = url.rstrip("/")

    async def stat(self) -> Stat:
        """Who publishes and plays now."""
        found: Stat | None = None
        try:
            boot, page = await self._get("/stat", {})
            found = parse_stat(boot, page)
        except ValueError as error:
            raise Unavailable(str(error)) from error
        finally:
            self.seen(found)
        return found

    async def drop_publisher(self, name: str) -> None:
        """Close the connection that publishes `name`; nothing happens when there is none."""
        if not name:
            # Without a name nginx-rtmp drops every publisher there is.
            raise ValueError("a stream name is needed")
        await self._get("/control/drop/publisher", {"app": APPLICATION, "name": name})

    async def _get(self, path: str, query: Mapping[str, str]) -> tuple[str, bytes]:
        try:
            async with self._http.get(self._url + path, params=query) as response:
                body = await response.read()
                if response.status != 200:
                    raise Unavailable(f"nginx (ingest) answered {response.status}.")
                return response.headers.get("X-Nginx-Boot", ""), body
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable("nginx (ingest) does not answer.") from error


@asynccontextmanager
async def open_nginx(settings: Settings) -> AsyncIterator[IngestNginx]:
    """A client for the life of the service."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as http:
        yield IngestNginx(http, settings.ingest_nginx_url)
