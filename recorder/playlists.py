"""HTTP for the edges: playlists of videos and clips, and who may watch them."""

from __future__ import annotations

import gzip

from aiohttp import web

from recorder.catalogue import Catalogue, Playlist, no_video

TYPE = "application/vnd.apple.mpegurl"
_SKIP = ("YES", "v2")
INDEX = "index"


def add_routes(app: web.Application, catalogue: Catalogue) -> None:
    """Serve what `catalogue` has."""

    async def video(request: web.Request) -> web.Response:
        name, skip = _asked(request)
        return _answer(request, await catalogue.video(_number(request), name, skip=skip))

    async def clip(request: web.Request) -> web.Response:
        name, _skip = _asked(request)
        return _answer(request, await catalogue.clip(request.match_info["id"], name))

    async def rewind(request: web.Request) -> web.Response:
        login = request.match_info["login"]
        skip = request.query.get("_HLS_skip") in _SKIP
        rendition = request.query.get("rendition")
        return _answer(request, await catalogue.rewind(login, rendition, skip=skip))

    async def video_state(request: web.Request) -> web.Response:
        return web.json_response(await catalogue.video_state(_number(request)))

    async def clip_state(request: web.Request) -> web.Response:
        return web.json_response(await catalogue.clip_state(request.match_info["id"]))

    app.router.add_get(r"/vod/{id:\d{1,19}}/{name}.m3u8", video)
    app.router.add_get("/clip-media/{id}/{name}.m3u8", clip)
    app.router.add_get("/live/{login}/dvr.m3u8", rewind)
    app.router.add_get(r"/internal/media/videos/{id:\d{1,19}}", video_state)
    app.router.add_get("/internal/media/clips/{id}", clip_state)


def _number(request: web.Request) -> int:
    number = int(request.match_info["id"])
    if number >= 2**63:
        raise no_video()
    return number


def _asked(request: web.Request) -> tuple[str | None, bool]:
    """The rendition (None: all of them), and whether a delta update will do."""
    name = request.match_info["name"]
    return None if name == INDEX else name, request.query.get("_HLS_skip") in _SKIP


def _answer(request: web.Request, playlist: Playlist) -> web.Response:
    headers = {
        "Content-Type": TYPE,
        "Cache-Control": f"public, max-age={playlist.age_s}",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=playlist.packed, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=gzip.decompress(playlist.packed), headers=headers)
