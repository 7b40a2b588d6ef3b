"""`footlight migrate`: bring the database to the newest schema."""

from __future__ import annotations

import argparse
import sys

from core.db.migrate import SchemaTooNew, migrate
from core.settings import Settings


def main(_: argparse.Namespace) -> int:
    """Migrate the database that the settings name; 1 when it is a newer release's."""
    try:
        migrate(Settings.model_validate({}).database_url)
    except SchemaTooNew as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1
    return 0
