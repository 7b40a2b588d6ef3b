"""The schema: made by the migrations alone, the same as the models', and undone again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from core.db import video_models  # noqa: F401 (declares its tables)
from core.db.engine import Database, open_database
from core.db.migrate import configuration, migrate
from core.db.models import Base, Channel, Stream, StreamStatus, User
from tests.harness import SOURCE, RunningServers


@pytest.fixture
def empty_database(servers: RunningServers) -> Iterator[str]:
    """The URL of an empty database, dropped in the end."""
    url = make_url(servers.settings().database_url)
    name = f"test_{uuid.uuid4().hex[:8]}"

    async def run(statement: str) -> None:
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(run(f"create database {name}"))
    yield url.set(database=name).render_as_string(hide_password=False)
    asyncio.run(run(f"drop database {name} with (force)"))


def _read(url: str, read: object) -> object:
    async def run() -> object:
        engine = create_async_engine(url)
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(read)  # type: ignore[arg-type]
        finally:
            await engine.dispose()

    return asyncio.run(run())


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def test_migrations_make_what_the_models_say(empty_database: str) -> None:
    migrate(empty_database)
    assert _read(empty_database, _differences) == []
    assert _read(empty_database, _tables) == {*Base.metadata.tables, "alembic_version"}
    # Once more changes nothing.
    migrate(empty_database)
    command.downgrade(configuration(empty_database), "base")
    assert _read(empty_database, _tables) == {"alembic_version"}
    migrate(empty_database)


def test_migrators_at_once(empty_database: str, servers: RunningServers) -> None:
    """Several nodes that start together: one migrates, the others wait and find it done."""
    environment = {
        **os.environ,
        **servers.environment,
        "PYTHONPATH": str(SOURCE),
        "FOOTLIGHT_DATABASE_URL": empty_database,
    }
    code = "from core.db.migrate import migrate; import os; migrate(os.environ['FOOTLIGHT_DATABASE_URL'])"
    command_line = [sys.executable, "-c", code]
    started = [subprocess.Popen(command_line, env=environment) for _ in range(3)]
    assert [process.wait(50) for process in started] == [0, 0, 0]
    assert _read(empty_database, _differences) == []


@pytest_asyncio.fixture
async def database(servers: RunningServers) -> AsyncIterator[Database]:
    async with open_database(servers.settings()) as opened:
        yield opened


async def test_a_channel_has_one_running_stream(database: Database) -> None:
    async with database.session() as session:
        user = User(login=f"m{uuid.uuid4().hex[:8]}", display_name="M")
        session.add(user)
        await session.flush()
        session.add(Channel(id=user.id))
        await session.flush()

    def stream(status: StreamStatus) -> Stream:
        return Stream(channel_id=user.id, session=uuid.uuid4().hex, node="n", status=status)

    async with database.session() as session:
        session.add_all([stream(StreamStatus.ENDED), stream(StreamStatus.ENDED)])
        session.add(stream(StreamStatus.RECONNECTING))
    with pytest.raises(IntegrityError):
        async with database.session() as session:
            session.add(stream(StreamStatus.CONNECTING))
    with pytest.raises(IntegrityError):
        async with database.session() as session:
            session.add(Stream(channel_id=user.id, session="x", node="n", status="unknown"))
