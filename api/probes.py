"""Asks other services whether they are ready, and for their figures."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp

from core.errors import Unavailable
from core.service import CHECK_TIMEOUT_S, Check

# Metrics by name, a value for each set of labels; and each of those under its own name, such as `disk{folder="data"}`.
Samples = dict[str, list[float]]


@asynccontextmanager
async def _answer(service: str, address: str, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
    timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S)
    is_unix = address.startswith("unix:")
    connector = aiohttp.UnixConnector(address.removeprefix("unix:")) if is_unix else None
    url = f"http://{service if is_unix else address.removeprefix('http://')}{path}"
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        session.get(url) as response,
    ):
        yield response


def ready_check(service: str, address: str) -> Check:
    """A check that another service, which listens on `address`, says it is ready."""

    async def check() -> None:
        try:
            async with _answer(service, address, "/readyz") as response:
                ready = response.status == HTTPStatus.OK
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"{service.title()} does not answer.") from error
        if not ready:
            raise Unavailable(f"{service.title()} is not ready.")

    return check


async def scrape(service: str, address: str) -> Samples | None:
    """The metrics of a service that listens on `address`; None when it does not answer."""
    try:
        async with _answer(service, address, "/metrics") as response:
            return samples(await response.text())
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None


def samples(exposition: str) -> Samples:
    """What a text of metrics says (OpenMetrics 1.0). Raises ValueError."""
    found: Samples = {}
    for line in exposition.splitlines():
        if line and not line.startswith("#"):
            head, _, rest = line.partition("} ") if "{" in line else line.partition(" ")
            name, has_labels, _ = head.partition("{")
            value = float(rest.split()[0])
            if not math.isnan(value):
                found.setdefault(name, []).append(value)
                if has_labels:
                    found[head + "}"] = [value]
    return found
