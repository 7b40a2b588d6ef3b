"""`footlight migrate`: bring the database to the newest schema."""

from __future__ import annotations

import argparse

from core.db.migrate import migrate
from core.settings import Settings


def main(_: argparse.Namespace) -> int:
    """Migrate the database that the settings name."""
    migrate(Settings.model_validate({}).database_url)
    return 0
