"""nginx-rtmp's HTTP hooks: strict reading of what comes in, and the answers nginx acts upon.

nginx reports with `application/x-www-form-urlencoded` POSTs through a loopback location of its own.
Query arguments that a publisher appends to its key arrive raw behind nginx's own fields, so a field
that comes twice is an attempt to be somebody else, and names are matched against an allow-list before
anything looks at them. Only our own `302 Location: <name>` admits a publisher.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from aiohttp import web

from core.errors import DomainError
from core.logs import logger
from ingest.session import Connection

log = logger(__name__)

#: nginx-rtmp cuts names at 255 bytes; a body is its own fields and the publisher's arguments.
MAX_BODY = 4096
MAX_VALUE = 255
MAX_FIELDS = 32
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_BOOT = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
_APPLICATION = "live"


class BadHook(ValueError):
    """A hook that nginx would not send for an honest client; the message is for the log."""


@dataclass(frozen=True, slots=True)
class Call:
    """One hook. `name` is the stream name, for a publish the stream key: never logged."""

    connection: Connection
    order: int
    call: str
    name: str
    address: str

    def __repr__(self) -> str:
        return f"Call({self.call}, {self.connection}, order={self.order})"


def parse(body: bytes, boot: str, order: str) -> Call:
    """Read a hook's body and the headers nginx's own location adds. Raises BadHook."""
    if len(body) > MAX_BODY:
        raise BadHook("too long")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except (UnicodeError, ValueError) as error:
        raise BadHook("not a form") from error
    fields = dict(pairs)
    # nginx-rtmp itself writes `app` twice when it reports a disconnect.
    told = set(pairs) if fields.get("call") == "disconnect" else pairs
    if len(fields) != len(told):
        raise BadHook("a field comes twice")
    if any(len(value) > MAX_VALUE for value in fields.values()):
        raise BadHook("a field is too long")
    if not _BOOT.fullmatch(boot) or not _NUMBER.fullmatch(order):
        raise BadHook("not from nginx's own location")
    client = fields.get("clientid", "")
    if not _NUMBER.fullmatch(client):
        raise BadHook("no client id")
    if fields.get("app") != _APPLICATION:
        raise BadHook("another application")
    return Call(
        connection=Connection(boot, int(client)),
        order=int(order),
        call=fields.get("call", ""),
        name=fields.get("name", ""),
        address=fields.get("addr", ""),
    )


def is_name(text: str) -> bool:
    """Whether `text` may be looked at as a stream key or stream name at all."""
    return _NAME.fullmatch(text) is not None


class Desk(Protocol):
    """Who decides about publishers."""

    async def publish(self, call: Call) -> str:
        """The stream name to publish under. Raises DomainError when refused."""
        ...

    async def play(self, call: Call) -> None:
        """Raise DomainError unless this subscriber is one of our workers."""
        ...

    async def update(self, call: Call) -> None:
        """Raise DomainError when this publisher may not go on."""
        ...

    def publish_done(self, call: Call) -> None: ...

    def disconnect(self, call: Call) -> None: ...


def add_routes(app: web.Application, desk: Desk) -> None:
    """The hooks under /hooks/. POST only, whatever aiohttp would add."""

    async def publish(call: Call) -> web.Response:
        name = await desk.publish(call)
        return web.Response(status=302, headers={"Location": name})

    async def play(call: Call) -> web.Response:
        await desk.play(call)
        return web.Response(status=204)

    async def update(call: Call) -> web.Response:
        if call.call == "update_publish":
            await desk.update(call)
        return web.Response(status=204)

    async def publish_done(call: Call) -> web.Response:
        desk.publish_done(call)
        return web.Response(status=204)

    async def disconnect(call: Call) -> web.Response:
        desk.disconnect(call)
        return web.Response(status=204)

    for handle in (publish, play, update, publish_done, disconnect):
        app.router.add_post(f"/hooks/{handle.__name__}", _hook(handle))


def _hook(
    handle: Callable[[Call], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def route(request: web.Request) -> web.Response:
        try:
            call = parse(
                await request.read(),
                request.headers.get("X-Nginx-Boot", ""),
                request.headers.get("X-Hook-Order", ""),
            )
            return await handle(call)
        except BadHook as error:
            log.warning("bad_hook", reason=str(error))
            return web.json_response(
                {"error": {"code": "bad_hook", "message": str(error)}}, status=403
            )
        except DomainError as error:
            # A 5xx would be taken for an outage, which nginx rides out: a refusal is always 403.
            return web.json_response(
                {"error": {"code": error.code, "message": error.message}}, status=403
            )

    return route
