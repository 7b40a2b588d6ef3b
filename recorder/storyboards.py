"""HTTP for the edges: the storyboard of a video as WebVTT."""

from __future__ import annotations

import gzip

from aiohttp import web

from core.db.engine import Database
from core.db.video_models import Video
from core.errors import NotFound
from recorder.storyboard import Storyboard

#: Seconds for which an edge may keep one that grows, and one that does not.
GROWING_S, WHOLE_S = 5, 3600


def add_storyboard(app: web.Application, database: Database) -> None:
    """Serve what is written down with the videos of `database`."""

    async def storyboard(request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        async with database.session() as session:
            video = await session.get(Video, number) if number < 2**63 else None
        board = Storyboard.read(video.storyboard) if video is not None else None
        if video is None or board is None or not board.count:
            raise NotFound("This video has no storyboard.", code="storyboard_not_found")
        age_s = WHOLE_S if board.whole else GROWING_S
        return web.Response(
            body=gzip.compress(board.vtt(video.duration_s).encode()),
            headers={
                "Content-Type": "text/vtt; charset=utf-8",
                "Content-Encoding": "gzip",
                "Cache-Control": f"public, max-age={age_s}",
            },
        )

    app.router.add_get(r"/vod/{id:\d{1,19}}/storyboard.vtt", storyboard)
