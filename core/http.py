"""HTTP of a service on aiohttp: listening, request ids, errors as JSON, health, metrics, client
addresses.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
)
from core.logs import logger
from core.metrics import Metrics

if TYPE_CHECKING:
    from core.service import Service

log = logger(__name__)

STATUS: dict[type[DomainError], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_LONGEST_LINE = 16_384
# What aiohttp itself answers, in our form.
_HTTP_CODES = {
    400: ("bad_request", "The request is not valid HTTP."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not support that method."),
    408: ("request_timeout", "The request took too long to arrive."),
    413: ("body_too_large", "The request's body is too large."),
    415: ("unsupported_media_type", "The body is not of the type that this address takes."),
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
BODY_LIMIT = 64 * 1024

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def status_of(error: DomainError) -> HTTPStatus:
    """The HTTP status of a domain error."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.BAD_REQUEST


def error_body(error: DomainError) -> dict[str, Any]:
    """`{"error": {"code", "message", "field"?, "retry_after"?}}`."""
    content: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.field is not None:
        content["field"] = error.field
    if error.retry_after is not None:
        content["retry_after"] = error.retry_after
    return {"error": content}


def error_response(error: DomainError) -> web.Response:
    """The answer that tells a client of `error`."""
    response = web.json_response(error_body(error), status=status_of(error))
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _plain_response(status: int) -> web.Response:
    code, message = _HTTP_CODES.get(status, (f"http_{status}", HTTPStatus(status).phrase))
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def observe(metrics: Metrics) -> Middleware:
    """The outermost middleware: request id, errors to JSON, one log line, rate, errors and
    duration.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request[REQUEST_ID] = request_id
        method = request.method if request.method in _METHODS else "other"
        route = route_of(request)
        began = time.perf_counter()
        status = 499
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                response = await _answer(request, handler)
                status = response.status
                if not response.prepared:
                    response.headers["X-Request-ID"] = request_id
                return response
            finally:
                taken = time.perf_counter() - began
                metrics.http_requests.labels(method, route, str(status)).inc()
                metrics.http_seconds.labels(method, route).observe(taken)
                log.info(
                    "request", method=method, route=route, status=status, ms=round(taken * 1000, 1)
                )

    return middleware


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except DomainError as error:
        if isinstance(error, Unavailable):
            log.warning("unavailable", reason=error.message, cause=repr(error.__cause__))
        return error_response(error)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        answer = _plain_response(error.status)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except (ConnectionResetError, web.RequestPayloadError):
        # The client left in the middle of its body; nobody reads the answer.
        return _plain_response(HTTPStatus.BAD_REQUEST)
    except Exception:
        log.exception("request_failed_unexpectedly")
        return _plain_response(HTTPStatus.INTERNAL_SERVER_ERROR)


def route_of(request: web.Request) -> str:
    """The template of the route that serves `request`, or "unmatched"; a bounded set of labels."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def make_app(
    service: Service, *middlewares: Middleware, body_limit: int = BODY_LIMIT
) -> web.Application:
    """An application with what every private listener has: /healthz, /readyz, /metrics."""
    app = web.Application(
        middlewares=[observe(service.metrics), *middlewares], client_max_size=body_limit
    )

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        checks = await service.readiness()
        ready = service.ready and all(checks.values())
        content = {
            "status": "ready" if ready else "not_ready",
            "checks": {name: "ok" if good else "failing" for name, good in checks.items()},
        }
        return web.json_response(
            content, status=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        )

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(
            body=service.metrics.exposition(),
            headers={"Content-Type": service.metrics.content_type},
        )

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


@asynccontextmanager
async def listen(
    app: web.Application, address: str, drain_s: float
) -> AsyncIterator[web.AppRunner]:
    """Serve `app` on "unix:/path" or "host:port". Leaving lets running requests finish for
    `drain_s` seconds.

    Raises ValueError for an address of another form.
    """
    # No access log of aiohttp's own: it would write paths, which may hold what a log should not.
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_server_log(),
        shutdown_timeout=drain_s,
        # Above what nginx lets through, so that a client hears of it from there, in the API's own words.
        max_line_size=_LONGEST_LINE,
        max_field_size=_LONGEST_LINE,
        handle_signals=False,
    )
    await runner.setup()
    try:
        await (await _site(runner, address)).start()
        yield runner
    finally:
        await runner.cleanup()


def _server_log() -> logging.Logger:
    """aiohttp's own log, without a traceback for every stranger who does not speak HTTP."""

    def is_ours(record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))

    found = logging.getLogger(f"{__name__}.server")
    found.filters[:] = [is_ours]
    return found


async def _site(runner: web.AppRunner, address: str) -> web.BaseSite:
    if address.startswith("unix:"):
        path = Path(address.removeprefix("unix:"))
        # Left by a process that was killed; the supervisor sees to it that there is one process an
        # address.
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # noqa: ASYNC240 (once, before anything is served)
        return web.UnixSite(runner, os.fspath(path))
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit():
        raise ValueError(f"not an address to listen on: {address!r}")
    return web.TCPSite(runner, host.strip("[]") or None, int(port))


def parse_networks(networks: Sequence[str]) -> tuple[IPNetwork, ...]:
    """The networks of a setting, for `client_address`."""
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)


def client_address(request: web.Request, trusted: Sequence[IPNetwork]) -> str:
    """The address of the client: the connection's, or what a trusted proxy says in X-Real-IP.

    The edge connects over a unix socket, which nobody else can. "" where nothing is known.
    """
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport is not None else None
    direct = peer[0] if isinstance(peer, tuple) else None
    if direct is None or is_in(direct, trusted):
        told = _address(request.headers.get("X-Real-IP", ""))
        if told is not None:
            return str(told)
    return direct or ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_in(text: str, networks: Sequence[IPNetwork]) -> bool:
    """Whether an address is in one of the networks; what is no address is not."""
    address = _address(text)
    return address is not None and any(address in network for network in networks)


def network_of(address: str) -> str:
    """What a limit per address counts: an IPv4 address, or the /64 of an IPv6 one (a household has
    a whole /64).
    """
    parsed = _address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed) if parsed is not None else "unknown"
