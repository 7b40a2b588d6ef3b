"""Edges and the object storage: they fetch from the private bucket with a key that is good for a day.

Every edge is told where the bucket is and given the signing keys of today and tomorrow (Signature Version
4): made of the secret key, they read what is in the bucket until their day is over and tell nothing of
the secret. An edge keeps them in memory only, so one that comes back is told again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import aiohttp

from core.errors import Unavailable
from core.logs import logger
from core.settings import Settings

log = logger(__name__)

#: How often an edge is asked whether it still knows; what it forgot it is without for that long.
LOOK_S = 1.0
#: How often the storage's name is looked up: addresses of large ones change within a minute.
RESOLVE_S = 30.0
TIMEOUT_S = 3.0
BOOT = "X-Edge-Boot"
PORTS = {"http": 80, "https": 443}


def day_key(secret: str, day: date, region: str) -> bytes:
    """The key that signs requests to S3 in `region` on `day`, UTC.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    key = f"AWS4{secret}".encode()
    for step in (f"{day:%Y%m%d}", region, "s3", "aws4_request"):
        key = hmac.digest(key, step.encode(), hashlib.sha256)
    return key


@dataclass(frozen=True)
class Grant:
    """What an edge is told. Its `repr` shows no key."""

    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return "Grant(…)"


def grant(settings: Settings, addresses: list[str], today: date) -> Grant:
    """Where the bucket is, at `addresses` (`host:port`), and keys for `today` and the day after."""
    url = urlsplit(settings.s3_endpoint)
    secret = settings.s3_secret_key.get_secret_value()
    days = (today, today + timedelta(days=1))
    lines = [f"{day:%Y%m%d} {day_key(secret, day, settings.s3_region).hex()}\n" for day in days]
    headers = {
        "X-Scheme": url.scheme,
        # As clients of HTTP write it, and so as it is signed: a port only when it is not the usual.
        "X-Host": url.netloc.removesuffix(f":{PORTS.get(url.scheme, 0)}"),
        "X-Addresses": ",".join(addresses),
        "X-Path": f"{url.path.rstrip('/')}/{settings.s3_bucket}",
        "X-Region": settings.s3_region,
        "X-Access-Key": settings.s3_access_key,
    }
    return Grant(headers, "".join(lines).encode())


async def resolve(endpoint: str) -> list[str]:
    """The addresses of the host of a URL, as `host:port`. Raises Unavailable."""
    url = urlsplit(endpoint)
    port = url.port or PORTS.get(url.scheme, 80)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable("The object storage's name is not known.") from error
    hosts = sorted({str(address[0]) for *_, address in found})
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts]


class _Edge:
    """One edge, and what it has been told."""

    def __init__(self, address: str, http: aiohttp.ClientSession, base: str) -> None:
        self.address = address
        self._http = http
        self._base = base
        self._boot: str | None = None
        self._told: Grant | None = None

    async def tell(self, told: Grant) -> None:
        """Tell it unless it knows. Raises Unavailable."""
        if self._told == told and await self._same_boot():
            return
        self._told = None
        try:
            async with self._http.put(
                f"{self._base}/storage", headers=told.headers, data=told.body
            ) as answer:
                if answer.status != 200:
                    raise Unavailable(f"The edge answered {answer.status}.")
                self._boot, self._told = answer.headers.get(BOOT), told
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable("The edge does not answer.") from error

    async def _same_boot(self) -> bool:
        try:
            async with self._http.get(f"{self._base}/healthz") as answer:
                return answer.headers.get(BOOT) == self._boot
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False


class Edges:
    """Keeps every edge of this installation able to fetch from the bucket."""

    def __init__(self, settings: Settings, edges: list[_Edge]) -> None:
        self._settings = settings
        self._edges = edges
        self._addresses: list[str] = []
        self._resolved = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. A frozen edge holds up none of the others."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_resolved(), name="storage-addresses")
            for edge in self._edges:
                group.create_task(self._keep_told(edge), name=f"edge-{edge.address}")

    async def _keep_told(self, edge: _Edge) -> None:
        while True:
            await self._resolved.wait()
            told = grant(self._settings, self._addresses, datetime.now(UTC).date())
            try:
                await edge.tell(told)
            except Unavailable as problem:
                log.debug("edge_not_told", edge=edge.address, reason=problem.message)
            await asyncio.sleep(LOOK_S)

    async def _keep_resolved(self) -> None:
        while True:
            try:
                self._addresses = await resolve(self._settings.s3_endpoint)
                self._resolved.set()
                await asyncio.sleep(RESOLVE_S)
            except Unavailable as problem:
                # Those found before may serve yet.
                log.warning("storage_not_resolved", reason=problem.message)
                await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def open_edges(settings: Settings) -> AsyncIterator[Edges]:
    """The edges of the settings; nothing is sent before `run`."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    sessions: list[aiohttp.ClientSession] = []
    edges: list[_Edge] = []
    try:
        for address in settings.edge_internal_urls:
            local = address.startswith("unix:")
            connector = aiohttp.UnixConnector(address.removeprefix("unix:")) if local else None
            session = aiohttp.ClientSession(connector=connector, timeout=timeout)
            sessions.append(session)
            edges.append(_Edge(address, session, "http://edge" if local else address.rstrip("/")))
        yield Edges(settings, edges)
    finally:
        for session in sessions:
            await session.close()
