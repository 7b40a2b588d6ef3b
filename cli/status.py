"""`footlight status`: what runs, on which port, healthy or not."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli.instance import lock_holder, read_instance, shown
from cli.probe import answers
from cli.servers import postgres_answers, redis_answers
from cli.toolchain import default_data

UNHEALTHY, NOT_RUNNING = 1, 3


def main(arguments: argparse.Namespace) -> int:
    """Print the state; 0 when all is well, 1 when something is not, 3 when nothing runs."""
    data = (arguments.data or default_data(os.environ)).absolute()
    state = asyncio.run(collect(data))
    print(json.dumps(state, indent=2) if arguments.json else table(state))
    if not state["running"]:
        return NOT_RUNNING
    return 0 if state["healthy"] else UNHEALTHY


async def collect(data: Path) -> dict[str, Any]:
    """The state of the instance on `data`: what instance.json says, and whether each process
    answers now.
    """
    state: dict[str, Any] = {
        "data": str(shown(data)),
        "running": False,
        "healthy": False,
        "services": {},
    }
    holder = lock_holder(data)
    if holder is None:
        return state
    state.update(running=True, pid=holder)
    content = read_instance(data)
    if content is None:
        return state | {"starting": True}
    services: dict[str, dict[str, Any]] = content["services"]
    healthy = await asyncio.gather(*(probe(name, entry["url"]) for name, entry in services.items()))
    for (name, entry), well in zip(services.items(), healthy, strict=True):
        state["services"][name] = {**entry, "url": without_password(entry["url"]), "healthy": well}
    state.update(http=content["http"], rtmp=content["rtmp"], irc_port=content["irc_port"])
    state["ready"] = await answers(content["http"], "/readyz")
    state["healthy"] = state["ready"] and all(healthy)
    return state


async def probe(name: str, url: str) -> bool:
    """Whether the process that serves `url` answers."""
    parts = urlsplit(url)
    if name == "postgres":
        return await postgres_answers(Path(parts.query.removeprefix("host=")))
    if name == "redis":
        return await redis_answers(url)
    if name == "s3":
        return await answers(url, "/", 200, 400, 403)
    if parts.scheme in ("nats", "rtmp"):
        return await listens(parts.hostname or "", parts.port or 0)
    return await answers(url, "/healthz")


async def listens(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def without_password(url: str) -> str:
    """`url` without the credentials in it."""
    parts = urlsplit(url)
    if parts.username is None or parts.hostname is None:
        return url
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=f"{parts.hostname}{port}").geturl()


def table(state: dict[str, Any]) -> str:
    """The state for people."""
    if not state["running"]:
        return f"Nothing runs on {state['data']}. Start it with ./footlight up."
    if state.get("starting"):
        return f"Footlight on {state['data']} is starting or stopping (pid {state['pid']})."
    word = "healthy" if state["healthy"] else "not healthy"
    lines = [f"Footlight on {state['data']} is {word} (pid {state['pid']}).", ""]
    lines += [f"  web    {state['http']}", f"  rtmp   {state['rtmp']}", ""]
    for name, entry in state["services"].items():
        well = "ok" if entry["healthy"] else entry["state"].upper()
        lines.append(f"  {name:<10} {well:<12} pid {entry['pid'] or '-':<8} {entry['url']}")
    return "\n".join(lines)
