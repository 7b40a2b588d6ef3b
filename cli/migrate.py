"""`footlight migrate`: bring the database to the newest schema."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parent.parent / "core/db/migrations"


def configuration(database_url: str) -> Config:
    """Alembic's configuration for our migrations, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    # Alembic interpolates option values: a percent sign stands for itself only when doubled.
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


def migrate(database_url: str) -> None:
    """Upgrade the database at `database_url` (postgresql+asyncpg://…) to the newest revision."""
    command.upgrade(configuration(database_url), "head")
