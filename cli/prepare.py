"""What `up` runs between the servers and the services: schema, bucket, and the first administrator."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from botocore.exceptions import ClientError
from sqlalchemy import func, select

from api.accounts.users import add_user
from cli.admin import hashed
from cli.connection import settings_of_environment
from cli.instance import SetupError, generated_secret
from cli.services import ADMIN
from core.db.engine import open_database
from core.db.migrate import SchemaTooNew, migrate
from core.db.models import Role, User
from core.errors import Unavailable
from core.settings import Settings
from core.storage import open_storage
from core.version import TooOld

AGAIN_S = 1.0


def main(_: argparse.Namespace) -> int:
    """Bring what the settings name into the state that services expect. Safe to repeat.

    Waits for the servers: after a boot they may come later. Ends for what waiting does not mend.
    """
    try:
        settings = settings_of_environment()
        asyncio.run(_wait_for_database(settings))
        bring_up(settings)
    except (SetupError, SchemaTooNew, Unavailable) as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1
    return 0


async def _wait_for_database(settings: Settings) -> None:
    async with open_database(settings) as database:
        await answered(database.check)


async def answered(ask: Callable[[], Awaitable[None]], *, again_s: float = AGAIN_S) -> None:
    """Ask until there is an answer. Raises Unavailable where the answer is that our request is wrong, or the
    server too old.
    """
    told = ""
    while True:
        try:
            await ask()
            return
        except Unavailable as problem:
            if isinstance(problem, TooOld) or _refused(problem.__cause__):
                raise
            if problem.message != told:
                told = problem.message
                print(f"footlight: {told} Waiting.", file=sys.stderr, flush=True)
        await asyncio.sleep(again_s)


def _refused(cause: BaseException | None) -> bool:
    """Whether an object storage said no, as it does to wrong keys; not that it cannot answer now."""
    if not isinstance(cause, ClientError):
        return False
    status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return 400 <= status < 500


def bring_up(settings: Settings) -> None:
    """Migrate, make the bucket and the first administrator. Raises SchemaTooNew or
    Unavailable. Not for an event loop.
    """
    migrate(settings.database_url)
    (settings.data_dir / "secrets").mkdir(mode=0o700, parents=True, exist_ok=True)
    asyncio.run(_prepare(settings))


async def _prepare(settings: Settings) -> None:
    async with open_storage(settings) as storage:
        await answered(storage.ensure_bucket)
    await add_first_admin(settings, settings.data_dir / "secrets")


async def add_first_admin(settings: Settings, secrets: Path) -> None:
    """Make the account `admin` when there is no administrator; its password is kept in `secrets`."""
    async with open_database(settings) as database:
        async with database.session() as session:
            admins = select(func.count()).select_from(User)
            if await session.scalar(admins.where(User.role == Role.ADMIN)):
                return
        password = generated_secret(secrets, "admin_password")
        password_hash = await hashed(password)
        async with database.session() as session:
            await add_user(
                session,
                login=ADMIN,
                # Nothing is ever delivered there; the account's settings change it.
                email=f"{ADMIN}@localhost",
                password_hash=password_hash,
                role=Role.ADMIN,
            )
    print(
        f"The first administrator: login {ADMIN}, password in {secrets / 'admin_password'}",
        flush=True,
    )
