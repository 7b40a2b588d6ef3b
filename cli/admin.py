"""`footlight admin …`: accounts and keys, over the database of an instance that runs."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from api import audit, names
from api.accounts.passwords import open_passwords
from api.accounts.users import add_user, find_for_login, refuse_last_admin, set_password
from cli.connection import settings_for
from cli.instance import SetupError
from core.db.engine import Database, open_database
from core.db.models import Role, User
from core.errors import DomainError
from core.settings import Settings
from core.tokens import rotate


def main(arguments: argparse.Namespace) -> int:
    """Run one task; 1 with a message when it cannot be done."""
    try:
        asyncio.run(_run(arguments, settings_for(arguments)))
    except (DomainError, SetupError) as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1
    return 0


async def _run(arguments: argparse.Namespace, settings: Settings) -> None:
    async with open_database(settings) as database:
        match arguments.task:
            case "create-user":
                await create_user(
                    database,
                    arguments.login,
                    arguments.email,
                    Role(arguments.role),
                    arguments.password_file,
                )
            case "set-role":
                await set_role(database, arguments.login, Role(arguments.role))
            case "reset-password":
                await reset_password(database, arguments.login, arguments.password_file)
            case "rotate-keys":
                await rotate_keys(database, settings)


async def create_user(
    database: Database, login: str, email: str, role: Role, password_file: Path | None
) -> None:
    """Make an account. Raises Invalid or Conflict as registering does."""
    login, email = names.clean_login(login), names.clean_email(email)
    password, told = chosen_password(password_file, login, email)
    password_hash = await hashed(password)
    async with database.session() as session:
        user = await add_user(
            session, login=login, email=email, password_hash=password_hash, role=role
        )
        audit.record(
            session, "account.created", actor_id=None, target=f"user:{user.id}", role=role.value
        )
    print(f"Made {login} ({role.value}).{told}")


async def set_role(database: Database, login: str, role: Role) -> None:
    """Change what an account may do. Raises Conflict for the last admin."""
    async with database.session() as session:
        user = await _account(session, login)
        if user.role == Role.ADMIN and role != Role.ADMIN:
            await refuse_last_admin(session)
        before, user.role = user.role, role
        audit.record(
            session,
            "account.role_changed",
            actor_id=None,
            target=f"user:{user.id}",
            before=str(before),
            after=role.value,
        )
    print(f"{login} is now {role.value}.")


async def reset_password(database: Database, login: str, password_file: Path | None) -> None:
    """Give an account a new password; its logins end."""
    async with database.session() as session:
        user = await _account(session, login)
        email = user.email or ""
    password, told = chosen_password(password_file, login, email)
    password_hash = await hashed(password)
    async with database.session() as session:
        user = await _account(session, login)
        await set_password(session, user, password_hash)
        audit.record(session, "password.reset", actor_id=None, target=f"user:{user.id}")
    print(f"{login} has a new password; all logins ended.{told}")


async def rotate_keys(database: Database, settings: Settings) -> None:
    """Sign tokens with a new key from now on; those that are out stay valid until they end."""
    async with database.session() as session:
        kid = await rotate(session, settings)
        audit.record(session, "signing_key.rotated", actor_id=None, target=f"key:{kid}")
    print(f"New access tokens are signed with key {kid} within a minute.")


async def _account(session: AsyncSession, login: str) -> User:
    user = await find_for_login(session, login)
    if user is None:
        raise SetupError(f"There is no account {login!r}.")
    return user


def chosen_password(file: Path | None, login: str, email: str) -> tuple[str, str]:
    """The password in `file`, or a new one; and what to print about it. Raises Invalid for a bad one."""
    if file is None:
        password = secrets.token_urlsafe(12)
        return password, f" Password: {password}"
    try:
        line = sys.stdin.readline() if str(file) == "-" else file.read_text().partition("\n")[0]
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}") from error
    return names.clean_password(line.rstrip("\r\n"), login, email), ""


async def hashed(password: str) -> str:
    """The password as it is stored."""
    async with open_passwords() as passwords:
        return await passwords.hash(password)
