"""Asks other services whether they are ready."""

from __future__ import annotations

from http import HTTPStatus

import aiohttp

from core.errors import Unavailable
from core.service import CHECK_TIMEOUT_S, Check


def ready_check(service: str, address: str) -> Check:
    """A check that another service, which listens on `address`, says it is ready."""

    async def check() -> None:
        timeout = aiohttp.ClientTimeout(total=CHECK_TIMEOUT_S)
        is_unix = address.startswith("unix:")
        connector = aiohttp.UnixConnector(address.removeprefix("unix:")) if is_unix else None
        url = f"http://{service}/readyz" if is_unix else f"http://{address}/readyz"
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(url) as response,
            ):
                ready = response.status == HTTPStatus.OK
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(f"{service.title()} does not answer.") from error
        if not ready:
            raise Unavailable(f"{service.title()} is not ready.")

    return check
