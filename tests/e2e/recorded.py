"""A broadcast's video as a player gets it from the edge: playlists, and every picture in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp

from tests.e2e.samples import numbers_in
from tests.e2e.stage import Stage
from tests.harness import eventually_async
from tests.playlist_validator import Playlist, check_media, parse_media

SELECT = (
    "select v.* from videos v join users u on u.id = v.channel_id where u.login = $1 order by v.id"
)


async def videos(stage: Stage, login: str) -> list[dict[str, Any]]:
    """Rows of the channel's videos, oldest first."""
    return await stage.rows(SELECT, login)


async def ready_video(
    stage: Stage, login: str, *, count: int = 1, within_s: float = 30.0
) -> dict[str, Any]:
    """The row of the channel's latest video, once all `count` of them are ready."""

    async def ready() -> dict[str, Any]:
        rows = await videos(stage, login)
        assert [row["status"] for row in rows] == ["ready"] * count
        return rows[-1]

    return await eventually_async(ready, within_s=within_s, what=f"the video of {login} is ready")


@dataclass
class Recorded:
    """One rendition of a video."""

    playlist: Playlist
    text: str
    stretches: list[bytes]
    size: int

    @property
    def numbers(self) -> list[int]:
        """The numbers of its pictures in order."""
        found = [number for media in self.stretches for number in numbers_in(media)]
        numbers = [number for number in found if number is not None]
        assert len(numbers) == len(found), "a picture could not be read"
        return numbers

    @property
    def findings(self) -> list[str]:
        """What is wrong with its playlist."""
        return check_media(self.text)


async def recorded(
    stage: Stage, video_id: int, rendition: str = "source", *, path: str = ""
) -> Recorded:
    """All of a rendition, fetched from the edge."""
    url = path or f"/vod/{video_id}/{rendition}.m3u8"
    async with aiohttp.ClientSession(stage.http) as client:
        text = (await _get(client, url)).decode()
        playlist = parse_media(text)
        inits: dict[str, bytes] = {}
        runs: list[list[bytes]] = []
        last_init = ""
        for segment in playlist.segments:
            if segment.gap or not segment.uri:
                continue
            init = urljoin(url, segment.map_uri)
            if init not in inits:
                inits[init] = await _get(client, init)
            if not runs or segment.discontinuity or init != last_init:
                runs.append([inits[init]])
            last_init = init
            runs[-1].append(await _get(client, urljoin(url, segment.uri)))
    stretches = [b"".join(pieces) for pieces in runs]
    return Recorded(playlist, text, stretches, sum(len(each) for each in stretches))


async def _get(client: aiohttp.ClientSession, url: str) -> bytes:
    async with client.get(url) as answer:
        body = await answer.read()
        assert answer.status == 200, f"{url}: {answer.status} {body[:300]!r}"
        return body
