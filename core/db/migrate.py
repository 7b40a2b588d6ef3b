"""Brings the schema to the newest revision."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def configuration(database_url: str) -> Config:
    """Alembic's configuration for `database_url`; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["database_url"] = database_url
    return config


def migrate(database_url: str, revision: str = "head") -> None:
    """Run every migration up to `revision`.

    Blocks; safe to start from several processes at once.
    """
    command.upgrade(configuration(database_url), revision)
