"""`footlight restore`: an instance from an archive of `footlight backup`.

Where `up` keeps everything in a data folder, the new instance is made aside, whole and with this release's
schema, and takes the place of what is there at the end (cli.replacing); that is put aside in its turn.
Where FOOTLIGHT_DATABASE_URL names servers, they are filled.

Redis and NATS begin empty: both are rebuilt from PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from cli import archive
from cli.archive import BadArchive, Member
from cli.backup import megabytes, passphrase_of
from cli.checking import Contents, check, opened, references
from cli.connection import settings_of_environment
from cli.dumps import loading
from cli.instance import Layout, SetupError, data_lock, lock_holder, shown, write_private
from cli.places import Place
from cli.prepare import bring_up
from cli.replacing import restored_aside, settle
from cli.toolchain import MissingProgram, Toolchain, default_data
from cli.vacating import come_to_rest, ready_for_another
from core.db.migrate import SchemaTooNew, refuse_unknown
from core.errors import DomainError, NotFound
from core.settings import PREFIX, Settings
from core.storage import PART_BYTES, Storage, Writer, open_storage

#: Objects that are stored at once.
AT_ONCE = 8


def main(arguments: argparse.Namespace) -> int:
    """Restore, or only check; 1 with a message when it cannot be done."""
    try:
        asyncio.run(run(arguments))
    except (SetupError, MissingProgram, DomainError, SchemaTooNew) as problem:
        print(f"footlight: {problem}", file=sys.stderr)
    except BadArchive as problem:
        print(f"footlight: {arguments.file} is not restored. {problem}", file=sys.stderr)
    else:
        return 0
    return 1


async def run(arguments: argparse.Namespace) -> None:
    """Check all of the archive before anything is touched."""
    passphrase = passphrase_of(arguments) or _passphrase()
    plan = Plan(
        place=None if arguments.file == "-" else Place.of(arguments.file),
        passphrase=passphrase,
        replace=arguments.replace,
    )
    settings = _environment()
    servers = settings is not None and f"{PREFIX}DATABASE_URL" in os.environ
    only_read = arguments.check or arguments.secrets is not None
    data: Path = (arguments.data or default_data(os.environ)).absolute()
    if not servers and not only_read:
        _refuse(plan, data)
    began = time.monotonic()
    contents = await check(settings, plan.place, passphrase)
    refuse_unknown(str(contents.manifest.get("schema", "")))
    print(
        f"{described(contents)}; read in {time.monotonic() - began:.1f} s, all as it was written."
    )
    if arguments.secrets is not None:
        _write_secrets(arguments.secrets, contents)
    if only_read:
        return
    if settings is not None and servers:
        await into_servers(plan, settings, contents)
    else:
        await _into_folder(plan, data, contents)
    print(f"Restored in {time.monotonic() - began:.1f} s.")


def _passphrase() -> str:
    """That of the environment, where the other settings need not be."""
    file = os.environ.get(f"{PREFIX}BACKUP_PASSPHRASE_FILE")
    if file is None:
        return os.environ.get(f"{PREFIX}BACKUP_PASSPHRASE", "")
    try:
        return Path(file).read_text().rstrip("\r\n")
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class Plan:
    """What is restored, and how."""

    place: Place | None
    passphrase: str
    replace: bool


def described(contents: Contents) -> str:
    """What an archive holds, for people."""
    manifest = contents.manifest
    kept = "" if manifest.get("objects") == "copy" else " (by reference)"
    return (
        f"A backup of {manifest.get('public_url')} of {manifest.get('created_at')}, Footlight "
        f"{manifest.get('release')}, schema {manifest.get('schema')}: database "
        f"{megabytes(contents.database_bytes)}, {contents.objects} objects "
        f"{megabytes(contents.object_bytes)}{kept}"
    )


def _environment() -> Settings | None:
    """The settings of the environment, where it has any."""
    named = (f"{PREFIX}DATABASE_URL", f"{PREFIX}BACKUP_S3_ENDPOINT")
    if not any(name in os.environ for name in named):
        return None
    if f"{PREFIX}SECRET_KEY" not in os.environ and f"{PREFIX}SECRET_KEY_FILE" not in os.environ:
        if named[0] in os.environ:
            raise SetupError(
                f"{PREFIX}SECRET_KEY is not set. `restore FILE --secrets DIR` writes that of the backup."
            )
        # Only where the archive lies is asked of them.
        return Settings.model_validate({"secret_key": "k" * 32})
    return settings_of_environment()


def _write_secrets(folder: Path, contents: Contents) -> None:
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    for name, content in contents.secrets.items():
        write_private(folder / Path(name).name, content.decode())
    print(f"Wrote {', '.join(sorted(contents.secrets))} to {folder}.")


def _refuse(plan: Plan, data: Path) -> None:
    """Raises SetupError for a data folder in use, or one with an instance that is not to be replaced."""
    if lock_holder(data) is not None:
        raise SetupError(f"Footlight runs on {shown(data)}: stop it first.")
    _refuse_content(plan, data)


def _refuse_content(plan: Plan, data: Path) -> None:
    if (data / "postgres").exists() and not plan.replace:
        raise SetupError(
            f"There is an instance in {shown(data)}. Name an empty folder with --data, or have it "
            "replaced with --replace: it is put aside, not removed."
        )


async def _into_folder(plan: Plan, data: Path, contents: Contents) -> None:
    """A new instance aside, which takes the place of what is in the data folder."""
    if contents.manifest.get("objects") != "copy" and f"{PREFIX}S3_ENDPOINT" not in os.environ:
        raise SetupError(
            f"This backup refers to objects in a storage of its own: name it with {PREFIX}S3_ENDPOINT."
        )
    layout = Layout.of(data)
    layout.prepare()
    with data_lock(data):
        settle(layout)
        _refuse_content(plan, data)
        needed = 2 * contents.database_bytes + contents.object_bytes
        free = shutil.disk_usage(data).free
        if free < needed:
            raise SetupError(
                f"{shown(data)} has {megabytes(free)} free; some {megabytes(needed)} are needed."
            )
        async with restored_aside(layout, contents.secrets) as settings:
            await into_servers(replace(plan, replace=True), settings, contents)
        aside = settle(layout)
    if aside is not None:
        print(f"What was there is in {shown(aside)}: remove it once all is well.")
    print(f"Start it: ./footlight up --data {shown(data)}")


async def into_servers(plan: Plan, settings: Settings, contents: Contents) -> None:
    """Fill the servers of the settings, which no service uses."""
    ours = settings.secret_key.get_secret_value().strip()
    if contents.secrets["secret_key"].decode().strip() != ours:
        raise SetupError(
            f"{PREFIX}SECRET_KEY is not that of the backup, without which its logins and stream keys are "
            "lost. `restore FILE --secrets DIR` writes it."
        )
    await ready_for_another(settings, replace=plan.replace)
    await fill(plan, settings)
    # To this release's schema, in a thread: Alembic's environment has a loop of its own.
    await asyncio.to_thread(bring_up, settings)
    await come_to_rest(settings)


async def fill(plan: Plan, settings: Settings) -> None:
    """Load the database and store the objects. Raises SetupError, BadArchive or Unavailable."""
    toolchain = Toolchain.from_environment()
    async with (
        open_storage(settings) as storage,
        opened(settings, plan.place, plan.passphrase) as members,
    ):
        await storage.ensure_bucket()
        storing = _Storing(storage)
        try:
            member = await _load(toolchain, settings, members)
            while member is not None:
                await storing.take(member)
                member = await anext(members, None)
            await storing.finish()
        finally:
            await storing.close()


async def _load(
    toolchain: Toolchain, settings: Settings, members: archive.Members
) -> Member | None:
    """Feed the dump to PostgreSQL; the first member after it."""
    async with loading(toolchain, settings.database_url) as database:
        async for member in members:
            if member.name.startswith(archive.DATABASE):
                async for piece in member.pieces():
                    await database.write(piece)
            elif member.name.startswith((archive.OBJECTS, archive.REFERENCES)):
                return member
    return None


class _Storing:
    """Stores objects, some at once; large ones piece by piece."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._under_way: set[asyncio.Task[None]] = set()
        self._missing = 0

    async def take(self, member: Member) -> None:
        """An object, or names of objects that should be there."""
        if member.name.startswith(archive.REFERENCES):
            await self._look_for(await member.whole())
            return
        if not member.name.startswith(archive.OBJECTS):
            raise BadArchive(f"It holds {member.name}, which this release does not know.")
        key = member.name.removeprefix(archive.OBJECTS)
        if member.size > PART_BYTES:
            await self._piece_by_piece(key, member)
            return
        data = await member.whole()
        while len(self._under_way) >= AT_ONCE:
            await self._settled(asyncio.FIRST_COMPLETED)
        self._under_way.add(asyncio.create_task(self._storage.put(key, data), name=key))

    async def _piece_by_piece(self, key: str, member: Member) -> None:
        writer = Writer(self._storage, key)
        try:
            async for piece in member.pieces():
                await writer.write([piece])
            await writer.finish()
        except BaseException:
            await writer.abort()
            raise

    async def _look_for(self, content: bytes) -> None:
        """Objects that stayed where they were: their last byte is asked for."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def look(key: str, size: int) -> None:
            async with limit:
                try:
                    if size:
                        await self._storage.get(key, size - 1, size - 1)
                except NotFound:
                    self._missing += 1

        async with asyncio.TaskGroup() as group:
            for key, size in references(content):
                group.create_task(look(key, size))

    async def _settled(self, when: str) -> None:
        done, self._under_way = await asyncio.wait(self._under_way, return_when=when)
        for task in done:
            task.result()

    async def finish(self) -> None:
        """Wait for what is under way. Raises Unavailable."""
        if self._under_way:
            await self._settled(asyncio.ALL_COMPLETED)
        if self._missing:
            print(
                f"{self._missing} objects that the backup refers to are gone: their videos do not play.",
                file=sys.stderr,
            )

    async def close(self) -> None:
        """Leave no task behind."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
