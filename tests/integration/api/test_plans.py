"""How PostgreSQL finds what the catalogue's operations ask for: by an index, whatever is asked.

A catalogue is made that is large enough for the planner to see a difference, the operations are called, and
every statement that they ran is explained with the values it had.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url

from bench.catalogue_data import Size, fill
from core.db.migrate import migrate
from core.settings import Settings
from tests.api_kit import Client, running_api
from tests.harness import RunningServers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
SIZE = Size(videos=40_000, messages=100_000)
# Rows that may be looked at for an answer of twenty.
MOST_ROWS = 4000
LARGE = {"videos", "video_messages", "chat_messages"}


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def catalogue(
    servers: RunningServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Settings]:
    """Settings of an API whose database holds a catalogue."""
    base = servers.settings()
    name = f"plans_{uuid.uuid4().hex[:8]}"
    admin = await asyncpg.connect(_plain(base.database_url))
    await admin.execute(f"create database {name}")
    url = make_url(base.database_url).set(database=name)
    text = url.render_as_string(hide_password=False)
    await asyncio.to_thread(migrate, text)
    await fill(lambda: asyncpg.connect(_plain(text)), SIZE)
    socket = tmp_path_factory.mktemp("plans") / "api.sock"
    yield servers.settings(
        database_url=text,
        api_listen=f"unix:{socket}",
        ingest_listen=f"unix:{socket.with_name('ingest.sock')}",
        drain_s=1,
    )
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@contextmanager
def statements() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """Every statement that is run meanwhile, with its values."""
    seen: list[tuple[str, tuple[Any, ...]]] = []

    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if isinstance(parameters, tuple):
            seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", keep)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's node and all below."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def looked_at(node: dict[str, Any]) -> int:
    """Rows that a node has read, also those that it passed over."""
    passed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    rows = node["Actual Rows"] + sum(node.get(name, 0) for name in passed)
    return int(rows * node["Actual Loops"])


QUERIES = [
    "/videos",
    *(f"/videos?sort={sort}" for sort in ("oldest", "views", "longest", "shortest")),
    "/videos?category=Category%200",
    "/videos?category=Category%20499&sort=views",
    "/videos?category=nothing",
    "/videos?tag=tag0",
    "/videos?tag=tag299&sort=longest",
    "/videos?language=is",
    "/videos?language=en&kind=upload&sort=views",
    "/videos?q=stream",
    "/videos?q=w0",
    "/videos?q=w4999",
    "/videos?q=w12%20numb",
    "/videos?q=w300&sort=views",
    "/videos?category=Category%20499&sort=longest",
    "/videos?tag=tag60&sort=views",
    "/videos?kind=upload&language=ja&tag=tag3",
    "/videos?channel={large}",
    "/videos?channel={large}&sort=views",
    "/videos?channel={large}&q=w3",
    "/videos?channel={small}",
    "/videos?channel={large}&tag=tag60",
    "/videos?channel={large}&sort=longest",
    "/videos?channel={large}&category=Category%2060&sort=views",
    "/videos?channel={small}&q=stream",
    "/videos?channel={small}&q=w10",
    "/videos/{video}",
    "/videos/{chat}/chat?from=60&to=120",
    "/clips",
    "/clips?sort=views",
    "/clips?channel={large}&sort=views",
    "/clips?video={video}",
]


async def test_every_question_has_its_index(catalogue: Settings) -> None:
    connection = await asyncpg.connect(_plain(catalogue.database_url))
    login = (
        "select u.login from videos v join users u on u.id = v.channel_id"
        " where not exists (select from suspensions s where s.user_id = u.id)"
        " group by 1 order by count(*)"
    )
    names = {
        "large": await connection.fetchval(f"{login} desc limit 1"),
        "small": await connection.fetchval(f"{login} limit 1"),
        "video": await connection.fetchval(
            "select max(v.id) from videos v where visibility = 'public' and not exists"
            " (select from suspensions s where s.user_id = v.channel_id)"
        ),
        "chat": await connection.fetchval(
            "select video_id from video_messages m join videos v on v.id = m.video_id"
            " where v.visibility = 'public' and not exists"
            " (select from suspensions s where s.user_id = v.channel_id) limit 1"
        ),
    }
    wrong = []
    async with running_api(catalogue) as service:
        client = Client(service)
        for query in QUERIES:
            path = query.format(**names)
            with statements() as seen:
                answer = await client("GET", path)
                assert answer.status == 200, answer
                cursor = isinstance(answer.body, dict) and answer.body.get("next_cursor")
                if cursor:
                    more = f"{path}{'&' if '?' in path else '?'}cursor={cursor}"
                    assert (await client("GET", more)).status == 200
            wrong += [
                f"{path}: {found}" for found in [await slow(connection, s) for s in seen] if found
            ]
        await client.close()
    await connection.close()
    assert not wrong, "\n".join(wrong)


async def slow(connection: asyncpg.Connection, statement: tuple[str, tuple[Any, ...]]) -> str:
    """What is wrong with a statement's plan; nothing: ""."""
    text, values = statement
    if not any(f"FROM {table}" in text for table in (*LARGE, "clips")):
        return ""
    explain = f"explain (analyze, format json) {text}"
    rows = await connection.fetchval(explain, *values)
    found = list(nodes(json.loads(rows)[0]["Plan"]))
    for node in found:
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
            return f"reads all of {node['Relation Name']}"
        if node.get("Relation Name") in LARGE and looked_at(node) > MOST_ROWS:
            return f"looks at {looked_at(node)} rows of {node['Relation Name']}"
    return ""
