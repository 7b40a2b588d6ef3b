"""`footlight bench api`: whether the catalogue stays as quick as it is while it grows.

The same requests, through the edge, to an instance with a small catalogue and to one with a large one:
p99 of the one beside that of the other. What is asked for is drawn anew for every request, so that no answer
is one that was just given.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
from sqlalchemy.engine import make_url

from bench.catalogue_data import CATEGORIES, TAGS, WORDS, Size, fill
from bench.chat import percentile
from bench.instance import Instance, running_instance
from bench.report import Report, arguments

WARM = 100


@dataclass(frozen=True)
class Known:
    """What requests are drawn from."""

    logins: list[str]
    videos: list[int]
    with_chat: list[int]


def uneven(chance: random.Random, most: int) -> int:
    """A number below `most`, small ones much more often, as the catalogue is made."""
    return int(chance.random() ** 3 * most)


Drawn = Callable[[random.Random, Known], tuple[str, dict[str, str]]]


def _list(chance: random.Random, _known: Known) -> tuple[str, dict[str, str]]:
    sort = chance.choice(("newest", "views", "longest"))
    filters: tuple[dict[str, str], ...] = (
        {},
        {"category": f"Category {uneven(chance, CATEGORIES)}"},
        {"tag": f"tag{uneven(chance, TAGS)}"},
        {"language": chance.choice(("en", "de", "ja", "is"))},
        {"kind": chance.choice(("broadcast", "upload", "highlight"))},
    )
    return "/videos", {"sort": sort, **chance.choice(filters)}


def _channel(chance: random.Random, known: Known) -> tuple[str, dict[str, str]]:
    login = known.logins[uneven(chance, len(known.logins))]
    return "/videos", {"channel": login, "sort": chance.choice(("newest", "views"))}


def _channel_search(chance: random.Random, known: Known) -> tuple[str, dict[str, str]]:
    login = known.logins[uneven(chance, len(known.logins))]
    return "/videos", {"channel": login, "q": f"w{uneven(chance, WORDS)}"}


def _search(chance: random.Random, _known: Known) -> tuple[str, dict[str, str]]:
    return "/videos", {"q": f"stream w{uneven(chance, WORDS)}"}


def _open(chance: random.Random, known: Known) -> tuple[str, dict[str, str]]:
    return f"/videos/{chance.choice(known.videos)}", {}


def _replay(chance: random.Random, known: Known) -> tuple[str, dict[str, str]]:
    begin = chance.randrange(600)
    window = {"from": str(begin), "to": str(begin + 60)}
    return f"/videos/{chance.choice(known.with_chat)}/chat", window


KINDS: dict[str, Drawn] = {
    "list": _list,
    "list of a channel": _channel,
    "search in a channel": _channel_search,
    "search": _search,
    "open": _open,
    "replay of a minute": _replay,
}


async def connect(instance: Instance) -> asyncpg.Connection:
    """A connection to its database, without the services' limits of time."""
    url = make_url(instance.facts["environment"]["FOOTLIGHT_DATABASE_URL"])
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return await asyncpg.connect(plain)


async def known(connection: asyncpg.Connection) -> Known:
    """What there is to ask for."""
    logins = await connection.fetch("select login from users where login like 'bench%' order by id")
    videos = await connection.fetch(
        "select id from videos where visibility = 'public' and id % (1 + $1 / 50000) = 0",
        await connection.fetchval("select count(*) from videos"),
    )
    chats = await connection.fetch(
        "select distinct m.video_id from (select id from videos where visibility = 'public' order by id"
        " limit 200000) v join lateral (select video_id from video_messages m where m.video_id = v.id"
        " limit 1) m on true"
    )
    return Known([r[0] for r in logins], [r[0] for r in videos], [r[0] for r in chats])


async def measure(instance: Instance, drawn_from: Known, count: int) -> dict[str, list[float]]:
    """Milliseconds of each request, by kind."""
    found = {}
    async with aiohttp.ClientSession(base_url=instance.http) as session:
        for kind, draw in KINDS.items():
            chance = random.Random(kind)
            for _ in range(WARM):
                await ask(session, *draw(chance, drawn_from))
            found[kind] = [await ask(session, *draw(chance, drawn_from)) for _ in range(count)]
    return found


async def ask(session: aiohttp.ClientSession, path: str, query: dict[str, Any]) -> float:
    """How long an answer took, milliseconds."""
    began = time.perf_counter()
    async with session.get(f"/api/v1{path}", params=query) as response:
        await response.read()
    took = (time.perf_counter() - began) * 1000
    if response.status != 200:
        raise RuntimeError(f"{path} {query}: {response.status}")
    return took


async def run(size: Size, count: int) -> dict[str, list[float]]:
    """An instance with a catalogue of `size`, measured."""
    async with running_instance({}) as instance:
        connection = await connect(instance)
        try:
            began = time.monotonic()
            await fill(connection, size)
            drawn_from = await known(connection)
            print(f"{size.videos:,} videos in {time.monotonic() - began:.0f} s", flush=True)
        finally:
            await connection.close()
        return await measure(instance, drawn_from, count)


async def compare(options: argparse.Namespace) -> Report:
    """The whole benchmark."""
    report = Report("api", "The catalogue, small and large")
    small = Size(options.small, options.small * 50)
    large = Size(options.videos, options.messages)
    for size in (small, large):
        report.condition(
            f"{size.videos:,} videos of {size.channels:,} channels, {size.messages:,} messages beside them"
        )
    report.condition(
        f"{options.requests:,} requests of a kind, one after the other, through the edge"
    )
    before, after = [await run(size, options.requests) for size in (small, large)]
    for kind in KINDS:
        row: dict[str, object] = {"request": kind}
        for name, times in (("small", before[kind]), ("large", after[kind])):
            for share in (0.5, 0.99):
                row[f"{name} p{share * 100:.0f} ms"] = round(percentile(times, share), 1)
        ratio = percentile(after[kind], 0.99) / percentile(before[kind], 0.99)
        report.row({**row, "p99 ratio": round(ratio, 2)})
    return report


def main() -> None:
    """The command line."""
    parser = arguments("api", __doc__)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=50_000_000)
    parser.add_argument("--small", type=int, default=1000, help="videos of the small catalogue")
    parser.add_argument("--requests", type=int, default=2000, help="of each kind")
    options = parser.parse_args()
    asyncio.run(compare(options)).show(options)


if __name__ == "__main__":
    main()
