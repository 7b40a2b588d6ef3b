"""`footlight bench api`: whether the catalogue stays as quick as it is while it grows.

The same requests, through the edge, to an instance with a small catalogue and to one with a large one:
p99 of the one beside that of the other. What is asked for is drawn anew for every request, so that no answer
is one that was just given.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

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


async def known(connection: asyncpg.Connection) -> Known:
    """What there is to ask for: what everybody may see."""
    logins = await connection.fetch(
        "select login from users u where login like 'bench\\_%'"
        " and not exists (select from suspensions s where s.user_id = u.id) order by id"
    )
    videos = await connection.fetch(f"{_SEEN} order by stream_id desc limit 50000")
    chats = await connection.fetch(
        f"{_SEEN} and exists (select from video_messages m where m.video_id = v.id)"
    )
    return Known([r[0] for r in logins], [r[0] for r in videos], [r[0] for r in chats])


_SEEN = """
select id from videos v where visibility = 'public'
and not exists (select from suspensions s where s.user_id = v.channel_id)
"""


@dataclass
class Times:
    """Of one kind of request at one catalogue."""

    milliseconds: list[float] = field(default_factory=list)
    slowest: tuple[str, dict[str, str]] = ("", {})

    def add(self, took: float, asked: tuple[str, dict[str, str]]) -> None:
        if took > max(self.milliseconds, default=0.0):
            self.slowest = asked
        self.milliseconds.append(took)

    def at(self, share: float) -> float:
        return percentile(self.milliseconds, share)


class Catalogue:
    """An instance with a catalogue of some size."""

    def __init__(self, instance: Instance, size: Size, session: aiohttp.ClientSession) -> None:
        self.size = size
        self.times = {kind: Times() for kind in KINDS}
        self._instance = instance
        self._session = session
        self._known = Known([], [], [])

    async def connect(self) -> asyncpg.Connection:
        """A connection to its database, without the services' limits of time."""
        url = make_url(self._instance.facts["environment"]["FOOTLIGHT_DATABASE_URL"])
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return await asyncpg.connect(plain)

    async def fill(self) -> None:
        """Make it."""
        began = time.monotonic()
        await fill(self.connect, self.size)
        connection = await self.connect()
        self._known = await known(connection)
        await connection.close()
        print(f"{self.size.videos:,} videos: {time.monotonic() - began:.0f} s", file=sys.stderr)

    def draw(self, kind: str, chance: random.Random) -> tuple[str, dict[str, str]]:
        """A request."""
        return KINDS[kind](chance, self._known)

    async def ask(self, asked: tuple[str, dict[str, str]]) -> float:
        """How long an answer took, milliseconds."""
        path, query = asked
        began = time.perf_counter()
        async with self._session.get(f"/api/v1{path}", params=query) as response:
            await response.read()
        took = (time.perf_counter() - began) * 1000
        if response.status != 200:
            raise RuntimeError(f"{path} {query}: {response.status}")
        return took

    async def plans(self) -> list[str]:
        """How PostgreSQL answers the slowest request of each kind, as it says itself."""
        connection = await self.connect()
        # Its settings are known once it is there.
        await connection.execute("load 'auto_explain'")
        for setting in _EXPLAINED:
            await connection.execute(f"alter system set {setting}")
        await connection.execute("select pg_reload_conf()")
        # New connections load it.
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        await connection.close()
        log = self._instance.data / "logs" / "postgres.log"
        lines = []
        for kind, times in self.times.items():
            path, query = times.slowest
            before = log.stat().st_size
            await self.ask(times.slowest)
            lines += [f"### {kind}: {path}?{urlencode(query)}", "", "```"]
            lines += plans_in(log.read_bytes()[before:].decode(errors="replace"))
            lines += ["```", ""]
        return lines


_EXPLAINED = (
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_analyze = on",
    "auto_explain.log_buffers = on",
)
_OF_THE_CATALOGUE = re.compile(r"\bon (?:videos|video_messages|chat_messages)\b")


def plans_in(log: str) -> list[str]:
    """The plans in what PostgreSQL has written, of statements that read videos or messages."""
    found = []
    for entry in re.split(r"^(?!\t)", log, flags=re.MULTILINE):
        # The statement is above it.
        plan = entry[entry.rfind("\n", 0, entry.find("(cost=")) :].strip("\n")
        took = re.search(r"duration: (\S+ ms)  plan:", entry)
        if took and _OF_THE_CATALOGUE.search(plan):
            found += [took[1], *(line.removeprefix("\t") for line in plan.split("\n"))]
    return found


async def measure(catalogues: Sequence[Catalogue], count: int) -> None:
    """Ask all of them by turns, so that what disturbs the machine disturbs each."""
    for kind in KINDS:
        chances = [random.Random(kind) for _ in catalogues]
        for number in range(WARM + count):
            for catalogue, chance in zip(catalogues, chances, strict=True):
                asked = catalogue.draw(kind, chance)
                took = await catalogue.ask(asked)
                if number >= WARM:
                    catalogue.times[kind].add(took, asked)


async def compare(options: argparse.Namespace) -> Report:
    """The whole benchmark."""
    report = Report("api", "The catalogue, small and large")
    sizes = (Size(options.small, options.small * 50), Size(options.videos, options.messages))
    for size in sizes:
        report.condition(
            f"{size.videos:,} videos of {size.channels:,} channels, {size.messages:,} messages beside them"
        )
    report.condition(
        f"{options.requests:,} requests of a kind to each, one after the other and by turns, through the edge"
    )
    async with contextlib.AsyncExitStack() as stack:
        catalogues = []
        for size in sizes:
            instance = await stack.enter_async_context(running_instance({}))
            session = aiohttp.ClientSession(base_url=instance.http)
            await stack.enter_async_context(session)
            catalogues.append(Catalogue(instance, size, session))
            await catalogues[-1].fill()
        await measure(catalogues, options.requests)
        if options.plans:
            report.notes += await catalogues[-1].plans()
    before, after = [catalogue.times for catalogue in catalogues]
    for kind in KINDS:
        row: dict[str, object] = {"request": kind}
        for name, times in (("small", before[kind]), ("large", after[kind])):
            for share in (0.5, 0.99):
                row[f"{name} p{share * 100:.0f} ms"] = round(times.at(share), 1)
        ratio = after[kind].at(0.99) / before[kind].at(0.99)
        report.row({**row, "p99 ratio": round(ratio, 2)})
    return report


def main() -> None:
    """The command line."""
    parser = arguments("api", __doc__)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=50_000_000)
    parser.add_argument("--small", type=int, default=1000, help="videos of the small catalogue")
    parser.add_argument("--requests", type=int, default=2000, help="of each kind")
    parser.add_argument(
        "--plans", action="store_true", help="print how the slowest of each kind are answered"
    )
    options = parser.parse_args()
    asyncio.run(compare(options)).show(options)


if __name__ == "__main__":
    main()
