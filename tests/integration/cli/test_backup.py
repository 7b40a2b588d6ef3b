"""Backups on real servers: what they hold, what is held back while one runs, and where they go."""

from __future__ import annotations

import argparse
import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from cli import backup, restore
from cli.archive import BadArchive
from cli.checking import check
from cli.instance import SetupError
from cli.places import Place
from core.db.engine import Database, open_database
from core.db.migrate import known_schemas, migrate, schema_of
from core.db.models import BackupRun, User
from core.holding import everything_held, removal
from core.settings import Settings
from core.storage import Storage, open_storage
from tests.harness import RunningServers

LARGE = bytes(range(256)) * 40_000  # more than is fetched at once


@pytest.fixture(scope="module")
def template(servers: RunningServers) -> Iterator[str]:
    """A database with the schema and nothing in it: a copy takes a tenth of the time of migrations."""
    name = f"template_{uuid.uuid4().hex[:8]}"
    url = make_url(servers.settings().database_url)
    plain = url.render_as_string(hide_password=False)
    asyncio.run(run(plain, f"create database {name}"))
    migrate(url.set(database=name).render_as_string(hide_password=False))
    yield name
    asyncio.run(run(plain, f"drop database {name} with (force)"))


@pytest_asyncio.fixture
async def settings(servers: RunningServers, template: str) -> AsyncIterator[Settings]:
    """A database, a bucket and a Redis of the test's own."""
    base = servers.settings()
    name = f"test_{uuid.uuid4().hex[:8]}"
    url = make_url(base.database_url)
    plain = url.render_as_string(hide_password=False)
    await run(plain, f"create database {name} template {template}")
    yield servers.settings(
        database_url=url.set(database=name).render_as_string(hide_password=False),
        s3_bucket=name.replace("_", "-"),
        redis_url=f"{base.redis_url}?db=7",
    )
    await run(plain, f"drop database {name} with (force)")


async def run(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def emptied(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("drop schema public cascade"))
        await session.execute(text("create schema public"))


@pytest_asyncio.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_database(settings) as database:
        yield database


@pytest_asyncio.fixture
async def storage(settings: Settings) -> AsyncIterator[Storage]:
    """A small object, an empty one and a large one."""
    async with open_storage(settings) as storage:
        await storage.ensure_bucket()
        for key, data in (("a/small", b"small"), ("b/empty", b""), ("c/large", LARGE)):
            await storage.put(key, data)
        yield storage


def asked(file: str | None = None, **more: object) -> argparse.Namespace:
    given = {"file": file, "objects": None, "passphrase_file": None, **more}
    return argparse.Namespace(**given)


async def test_a_backup_holds_everything_and_is_written_down(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    file = tmp_path / "one.tar"
    await backup.run(settings, asked(str(file)))
    found = await check(settings, Place.of(str(file)), "")
    assert (found.objects, found.object_bytes) == (3, 5 + len(LARGE))
    assert found.manifest["schema"] == known_schemas()[0]
    assert found.secrets["secret_key"].strip().decode() == settings.secret_key.get_secret_value()
    async with database.session() as session:
        row = (await session.scalars(select(BackupRun))).one()
    assert (row.place, row.size_bytes, row.error) == (str(file), file.stat().st_size, None)
    assert row.started_at < row.ended_at


async def test_one_that_fails_leaves_its_reason_and_nothing_else(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    lost = settings.model_copy(update={"s3_bucket": "nowhere"})
    with pytest.raises(Exception, match="no object"):
        await backup.run(lost, asked(str(tmp_path / "one.tar")))
    assert os.listdir(tmp_path) == []
    async with database.session() as session:
        row = (await session.scalars(select(BackupRun))).one()
    assert row.error is not None
    assert row.size_bytes == 0


async def test_nothing_is_removed_under_a_backup(database: Database) -> None:
    async with removal(database) as may:
        assert may
        waiting = asyncio.create_task(hold_once(database))
        # It waits for the removal that has begun.
        assert not (await asyncio.wait({waiting}, timeout=0.3))[0]
    assert await waiting
    async with everything_held(database) as hold:
        assert hold is not None
        async with removal(database) as may:
            assert not may
        async with everything_held(database) as another:
            assert another is None
    async with removal(database) as may:
        assert may


async def hold_once(database: Database) -> bool:
    async with everything_held(database) as hold:
        return hold is not None


async def test_a_bucket_takes_backups_and_old_ones_go(
    settings: Settings, database: Database, storage: Storage
) -> None:
    bucket = f"{settings.s3_bucket}-kept"
    kept = settings.model_copy(
        update={"backup_place": f"s3://{bucket}/site", "backup_keep": 1, "s3_bucket": bucket}
    )
    async with open_storage(kept) as backups:
        await backups.ensure_bucket()
        await backups.put("site/footlight-20200101T000000Z.tar", b"old")
        await backups.put("site/mine.txt", b"mine")
        given = kept.model_copy(update={"s3_bucket": settings.s3_bucket})
        await backup.run(given, asked())
        names = [each.key async for each in backups.each("")]
    assert "site/mine.txt" in names
    assert len(names) == 2
    [name] = set(names) - {"site/mine.txt"}
    found = await check(given, Place(bucket, name), "")
    assert found.objects == 3


async def test_references_are_looked_for(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "one.tar"
    await backup.run(settings, asked(str(file), objects="reference"))
    assert file.stat().st_size < len(LARGE)
    await storage.delete("a/small")
    plan = restore.Plan(Place.of(str(file)), "", replace=True)
    await emptied(database)
    await restore.fill(plan, settings)
    assert "1 objects that the backup refers to are gone" in capsys.readouterr().err


async def test_an_older_schema_is_restored_onto_this_one(
    settings: Settings, storage: Storage, tmp_path: Path
) -> None:
    """It was made by a release that knew less; what it held is there, in this release's schema."""
    older = known_schemas()[-1]
    file = tmp_path / "one.tar"
    async with open_database(settings) as database:
        await emptied(database)
    await asyncio.to_thread(migrate, settings.database_url, older)
    async with open_database(settings) as database:
        await database_user(database, "before")
        # That schema has no table to write it down in.
        await backup.run(settings, asked(str(file)))
    contents = await check(settings, Place.of(str(file)), "")
    assert contents.manifest["schema"] == older
    plan = restore.Plan(Place.of(str(file)), "", replace=False)
    for each in [each.key async for each in storage.each("")]:
        await storage.delete(each)
    with pytest.raises(SetupError, match="There is an instance in the database"):
        await restore.into_servers(plan, settings, contents)
    await restore.into_servers(restore.Plan(plan.place, "", replace=True), settings, contents)
    async with open_database(settings) as database:
        async with database.engine.connect() as connection:
            assert await schema_of(connection) == known_schemas()[0]
        async with database.session() as session:
            assert "before" in set(await session.scalars(select(User.login)))
    assert await storage.get("c/large") == LARGE
    assert [each.size async for each in storage.each("")] == [5, 0, len(LARGE)]


async def database_user(database: Database, login: str) -> None:
    async with database.session() as session:
        await session.execute(
            text("insert into users (login, display_name) values (:login, :login)"),
            {"login": login},
        )


async def test_another_instances_secret_is_refused(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    file = tmp_path / "one.tar"
    await backup.run(settings, asked(str(file)))
    contents = await check(settings, Place.of(str(file)), "")
    contents.secrets["secret_key"] = b"another"
    plan = restore.Plan(Place.of(str(file)), "", replace=True)
    with pytest.raises(SetupError, match="SECRET_KEY is not that of the backup"):
        await restore.into_servers(plan, settings, contents)


async def test_half_an_archive_is_refused(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    file = tmp_path / "one.tar"
    await backup.run(settings, asked(str(file)))
    with file.open("r+b") as whole:
        whole.truncate(file.stat().st_size // 2)
    with pytest.raises(BadArchive, match="ends early"):
        await check(settings, Place.of(str(file)), "")


async def test_a_service_that_still_runs_is_in_the_way(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    file = tmp_path / "one.tar"
    await backup.run(settings, asked(str(file)))
    contents = await check(settings, Place.of(str(file)), "")
    async with database.session() as session:
        await session.execute(delete(BackupRun))
        plan = restore.Plan(Place.of(str(file)), "", replace=True)
        with pytest.raises(SetupError, match="stop all of them first"):
            await restore.into_servers(plan, settings, contents)
