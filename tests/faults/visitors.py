"""Who keeps an instance busy while it is broken: an encoder, viewers, chatters, somebody who uploads, somebody who
asks the API. Each goes on for ever, counts what fails, and comes back as a real one does.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self
from urllib.parse import urljoin

import aiohttp
import av
from websockets.exceptions import WebSocketException

from tests.chat_kit import ChatClient, Person, dial
from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Recipe, Sample, draw

#: How soon somebody whose attempt failed tries again, seconds.
RETRY_S = 0.25
#: Between two messages of a chatter, two requests to the API, two pieces of an upload, seconds.
SPEAK_S, CALL_S, PIECE_S = 0.7, 0.5, 1.0
PIECES = 12
#: Access tokens live for a quarter of an hour.
TOKEN_S = 600
#: A request that takes longer has failed.
PATIENCE = aiohttp.ClientTimeout(total=20)
TUS = {"Tus-Resumable": "1.0.0"}


class Failed(Exception):
    """A request was answered with an error, or not at all."""


#: What a visitor may meet with while something is broken.
TROUBLE = (Failed, Rejected, WebSocketException, OSError, TimeoutError, AssertionError)


@dataclass
class Place:
    """The instance that is visited."""

    http: str
    rtmp_port: int
    client: aiohttp.ClientSession


class Visitor:
    """Somebody who goes on for ever."""

    kind: ClassVar[str] = "host"

    def __init__(self, place: Place) -> None:
        self.place = place
        self.asked = 0
        #: What did not work, with when (monotonic).
        self.failures: list[tuple[float, str]] = []
        #: Whether the latest attempt has worked.
        self.well = False

    async def stay(self) -> None:
        """Visit again and again."""
        while True:
            try:
                await self.visit()
            except TROUBLE as error:
                if not isinstance(error, Failed):
                    self.fail(f"{type(error).__name__} {error}")
                await asyncio.sleep(RETRY_S)

    async def visit(self) -> None:
        raise NotImplementedError

    def fail(self, what: str) -> None:
        self.well = False
        self.failures.append((time.monotonic(), f"{self.kind}: {what}"))

    async def ask(self, url: str, method: str = "GET", **more: Any) -> tuple[Any, bytes]:
        """One request: headers and body of its answer. Raises Failed."""
        self.asked += 1
        try:
            async with self.place.client.request(
                method, urljoin(self.place.http, url), **more
            ) as answer:
                body = await answer.read()
                if answer.status < 400:
                    self.well = True
                    return answer.headers, body
                what = f"{answer.status} {body[:100]!r}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            what = f"{type(error).__name__} {error}"
        what = f"{method} {url}: {what}"
        self.fail(what)
        raise Failed(what)


@dataclass
class Account:
    """Somebody with an account, and a token that is fresh enough."""

    login: str = field(default_factory=lambda: f"load_{secrets.token_hex(4)}")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    token: str = ""
    issued: float = float("-inf")

    async def register(self, visitor: Visitor) -> Self:
        body = {"email": f"{self.login}@example.org", **self._names()}
        await visitor.ask("/api/v1/auth/register", "POST", json=body)
        return self

    async def headers(self, visitor: Visitor) -> dict[str, str]:
        return {"Authorization": f"Bearer {await self.fresh(visitor)}"}

    async def fresh(self, visitor: Visitor) -> str:
        """A token, after a new login when it is old."""
        if time.monotonic() > self.issued + TOKEN_S:
            answer = await self._log_in(visitor)
            self.token, self.issued = answer["access_token"], time.monotonic()
        return self.token

    async def stream_key(self, visitor: Visitor) -> str:
        """A new one."""
        more = {"headers": await self.headers(visitor), "json": {"name": "Load"}}
        _, body = await visitor.ask("/api/v1/me/stream-keys", "POST", **more)
        return str(json.loads(body)["key"])

    async def _log_in(self, visitor: Visitor) -> Any:
        _, body = await visitor.ask("/api/v1/auth/login", "POST", json=self._names())
        return json.loads(body)

    def _names(self) -> dict[str, str]:
        return {"login": self.login, "password": self.password}


class Encoder(Visitor):
    """Publishes a small picture four times a second, and dials again when it is cut."""

    kind = "encoder"

    def __init__(self, place: Place, key: str) -> None:
        super().__init__(place)
        self._key = key
        self._sample = Recipe(seconds=10, fps=4, size=(256, 144), channels=0).make()

    async def visit(self) -> None:
        async with await Connection.open(self.place.rtmp_port) as connection:
            await connection.publish(self._key)
            self.well = True
            began, round_ms = time.monotonic(), 0
            while True:
                await connection.push(self._moved(self._sample, round_ms).tags, began=began)
                round_ms += 10_000

    @staticmethod
    def _moved(sample: Sample, by_ms: int) -> Sample:
        """Headers come once."""
        tags = [tag for tag in sample.tags if not (by_ms and tag.is_header)]
        return replace(sample, tags=tags).shifted(by_ms)


class Viewer(Visitor):
    """Follows the stream by blocking reloads, and fetches each part."""

    kind = "viewer"

    def __init__(self, place: Place, login: str) -> None:
        super().__init__(place)
        self._login = login

    async def visit(self) -> None:
        page = f"/live/{self._login}/index.m3u8"
        _, text = await self.ask(page)
        lines = text.decode().splitlines()
        url = urljoin(page, next(line for line in lines if line and not line.startswith("#")))
        query = ""
        while b"#EXT-X-ENDLIST" not in text:
            _, text = await self.ask(url + query)
            playlist = text.decode()
            query = after(playlist)
            if parts := [line for line in playlist.splitlines() if "#EXT-X-PART:" in line]:
                await self.ask(urljoin(url, parts[-1].split('URI="')[1].split('"')[0]))


def after(playlist: str) -> str:
    """The delivery directives that ask for the part after the last one of a media playlist (6.2.5.2)."""
    first = int(playlist.split("#EXT-X-MEDIA-SEQUENCE:")[1].split()[0])
    whole = playlist.count("#EXTINF:")
    parts = playlist.rpartition("#EXTINF:")[2].count("#EXT-X-PART:")
    return f"&_HLS_msn={first + whole}&_HLS_part={parts}"


class Chatter(Visitor):
    """Somebody with a socket in one room."""

    kind = "chat"

    def __init__(self, place: Place, room: str) -> None:
        super().__init__(place)
        self.room = Person(0, room, "", 0)

    async def visit(self) -> None:
        client = await dial(self.place.http, open_timeout=5, close_timeout=1, ping_interval=None)
        try:
            await self.chat(client)
        finally:
            await client.close()

    async def chat(self, client: ChatClient) -> None:
        raise NotImplementedError


class Speaker(Chatter):
    """Says numbers, each only once, and remembers which of them were acknowledged."""

    def __init__(self, place: Place, account: Account) -> None:
        super().__init__(place, account.login)
        self._account = account
        self._number = 0
        self.acknowledged: list[str] = []
        #: How many of them no longer matter.
        self.judged = 0

    async def chat(self, client: ChatClient) -> None:
        token = await self._account.fresh(self)
        await client.hello(replace(self.room, token=token))
        await client.join(self.room)
        while True:
            self._number += 1
            text = str(self._number)
            answer = await client.say(self.room, text)
            client.seen.clear()
            if answer["type"] == "message":
                self.acknowledged.append(text)
                self.well = True
            else:
                self.fail(f"refused with {answer.get('code')}")
            await asyncio.sleep(SPEAK_S)


class Reader(Chatter):
    """Reads along, and asks for what was said while it was away."""

    def __init__(self, place: Place, room: str) -> None:
        super().__init__(place, room)
        self._known: dict[str, Any] = {}
        self.here = asyncio.Event()
        #: Every text that came, with the ids under which it came.
        self.heard: defaultdict[str, set[str]] = defaultdict(set)

    async def chat(self, client: ChatClient) -> None:
        await client.hello()
        joined = await client.join(self.room, **self._known)
        self._known = {"since": joined["offset"], "epoch": joined["epoch"]}
        for message in joined["history"]:
            self._hear(message)
        self.well = True
        self.here.set()
        while True:
            message = await client.next("message", within_s=86_400)
            self._known["since"] = message["offset"]
            self._hear(message)

    def _hear(self, message: dict[str, Any]) -> None:
        self.heard[message["text"]].add(message["id"])

    def missed(self, texts: list[str]) -> list[str]:
        """What was said and did not come."""
        return [text for text in texts if text not in self.heard]

    def doubled(self) -> list[str]:
        """What came as two messages, though it was said once."""
        return [text for text, ids in list(self.heard.items()) if len(ids) > 1]


class Caller(Visitor):
    """Looks at a channel as a guest, and now and then changes its title as its owner."""

    kind = "API"

    def __init__(self, place: Place, account: Account) -> None:
        super().__init__(place)
        self._account = account

    async def visit(self) -> None:
        url = f"/api/v1/channels/{self._account.login}"
        for _ in range(5):
            await self.ask(url)
            await asyncio.sleep(CALL_S)
        headers = await self._account.headers(self)
        await self.ask(url, "PATCH", headers=headers, json={"title": f"Load {self.asked}"})


class Uploader(Visitor):
    """Uploads a tiny film in pieces, waits until it can be watched, and begins anew."""

    kind = "upload"

    def __init__(self, place: Place, account: Account) -> None:
        super().__init__(place)
        self._account = account
        self._film = film()
        self.ready = 0

    async def visit(self) -> None:
        name = base64.b64encode(b"film.mp4").decode()
        more = {"Upload-Length": str(len(self._film)), "Upload-Metadata": f"filename {name}"}
        begun, _ = await self._tus("/api/v1/uploads", "POST", headers=more)
        await self._through(begun["Location"])
        await self._watchable(begun["Upload-Video"])
        self.ready += 1

    async def _tus(self, url: str, method: str, *, headers: dict[str, str], **more: Any) -> Any:
        mine = await self._account.headers(self)
        return await self.ask(url, method, headers={**TUS, **mine, **headers}, **more)

    async def _through(self, url: str) -> None:
        """Piece by piece; after a failure from where the server says it is."""
        size = -(-len(self._film) // PIECES)
        offset = 0
        while offset < len(self._film):
            more = {
                "Upload-Offset": str(offset),
                "Content-Type": "application/offset+octet-stream",
            }
            try:
                await self._tus(url, "PATCH", headers=more, data=self._film[offset : offset + size])
                offset += size
            except Failed:
                offset = await self._insist(lambda: self._offset(url))
            await asyncio.sleep(PIECE_S)

    async def _offset(self, url: str) -> int:
        headers, _ = await self._tus(url, "HEAD", headers={})
        return int(headers["Upload-Offset"])

    async def _watchable(self, video: str) -> None:
        status = ""
        while status != "ready":
            await asyncio.sleep(PIECE_S)
            status = await self._insist(lambda: self._status(video))
            assert status != "failed", f"the upload has failed: video {video}"

    async def _status(self, video: str) -> str:
        headers = await self._account.headers(self)
        _, body = await self.ask(f"/api/v1/videos/{video}", headers=headers)
        return str(json.loads(body)["status"])

    async def _insist(self, attempt: Callable[[], Any]) -> Any:
        """What comes of an attempt that is made until it works."""
        while True:
            try:
                return await attempt()
            except Failed:
                await asyncio.sleep(RETRY_S)


def film() -> bytes:
    """A second of a small film as a file."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
        for number in range(10):
            frame = draw(number, (256, 144))
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return target.getvalue()
