"""`python -m cli COMMAND`: what `./footlight` runs once the tools are there."""

from __future__ import annotations

import argparse
import sys

from cli import up


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(prog="footlight", description="Self-hosted live streaming.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    starting = commands.add_parser("up", help="start everything in the foreground")
    up.add_arguments(starting)
    starting.set_defaults(run=up.main)
    migrating = commands.add_parser("migrate", help="bring the database to the newest schema")
    migrating.set_defaults(run=_migrate)
    return root


def _migrate(_: argparse.Namespace) -> int:
    from cli.migrate import migrate
    from core.settings import Settings

    migrate(Settings().database_url)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = parser().parse_args(arguments)
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
