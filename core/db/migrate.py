"""Brings the schema to the newest revision, and says which one a database has."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.version import RELEASE

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaTooNew(Exception):
    """The schema was made by a newer release than this one."""

    def __init__(self, schema: str) -> None:
        super().__init__(
            f"The database has schema {schema}, which Footlight {RELEASE} does not know: it was used by a "
            f"newer release.\nInstall that one again, or restore a backup that was taken before the upgrade."
        )
        self.schema = schema


def configuration(database_url: str) -> Config:
    """Alembic's configuration for `database_url`; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database_url"] = database_url
    return config


def known_schemas() -> list[str]:
    """Every revision this release knows, the newest first."""
    return [
        script.revision
        for script in ScriptDirectory.from_config(configuration("")).walk_revisions()
    ]


def refuse_unknown(schema: str) -> None:
    """Raises SchemaTooNew for a schema that this release does not know; "" is an empty database."""
    if schema and schema not in known_schemas():
        raise SchemaTooNew(schema)


async def schema_of(connection: AsyncConnection) -> str:
    """The revision of a database; "" when it has none."""
    if not await connection.scalar(text("select to_regclass('alembic_version')")):
        return ""
    return str(await connection.scalar(text("select version_num from alembic_version")) or "")


def migrate(database_url: str, revision: str = "head") -> None:
    """Run every migration up to `revision`. Raises SchemaTooNew for a database of a newer release.

    Blocks; safe to start from several processes at once.
    """
    command.upgrade(configuration(database_url), revision)
