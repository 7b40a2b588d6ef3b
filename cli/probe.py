"""Asking a process over HTTP, on a unix socket or a TCP address, without a client library."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


async def http_get(target: str, path: str, *, timeout_s: float = 2.0) -> tuple[int, bytes]:
    """GET `path` from `target` ("unix:/path/of.sock" or "http://host:port"): status and body.

    Raises OSError (refused, no such socket), TimeoutError, or ValueError for an answer that is not
    HTTP.
    """
    async with asyncio.timeout(timeout_s):
        if target.startswith("unix:"):
            reader, writer = await asyncio.open_unix_connection(target.removeprefix("unix:"))
            host = "localhost"
        else:
            parts = urlsplit(target)
            host = parts.hostname or "127.0.0.1"
            reader, writer = await asyncio.open_connection(host, parts.port or 80)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            await writer.drain()
            answer = await reader.read(1 << 20)
            while piece := await reader.read(1 << 20):
                answer += piece
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        return int(head.split(b" ", 2)[1]), body
    except IndexError as error:
        raise ValueError(f"{target} does not speak HTTP") from error


async def answers(target: str, path: str, *statuses: int) -> bool:
    """Whether GET `path` answers with one of `statuses` (default: 200)."""
    try:
        status, _ = await http_get(target, path)
    except (OSError, TimeoutError, ValueError):
        return False
    return status in (statuses or (200,))


async def accepts(address: str, *, timeout_s: float = 2.0) -> bool:
    """Whether somebody accepts connections at `host:port`, which may be any address of this machine."""
    host, _, port = address.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "[::]": "::1"}.get(host, host)  # noqa: S104
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
