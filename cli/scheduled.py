"""`footlight backup --scheduled`: takes backups whenever they are due, where no `up` does.

Each is a process of its own, `footlight backup`: what it needs is given back, and it is nice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys

from cli.connection import settings_of_environment
from cli.instance import SetupError
from cli.schedule import NotTaken, keep_taking
from cli.source import SOURCE
from core import logs
from core.settings import PREFIX, Settings

log = logs.logger(__name__)

#: Of what a backup printed when it failed, characters.
_TAIL = 2000
#: A backup that is told to stop has that long to write down that it was.
_STOP_S = 10.0


def main(arguments: argparse.Namespace) -> int:
    """Take backups until SIGTERM or SIGINT; 1 with a message when there is nothing to take them to."""
    try:
        settings = _settings(arguments)
    except SetupError as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1
    logs.configure("backup", settings.log_level)
    asyncio.run(_run(settings))
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    given = (arguments.file, arguments.data, arguments.objects, arguments.passphrase_file)
    if any(value is not None for value in given):
        raise SetupError("--scheduled takes no other options: what it does is in the settings.")
    settings = settings_of_environment()
    if not settings.backup_place:
        raise SetupError(f"Name a place for backups with {PREFIX}BACKUP_PLACE.")
    return settings


async def _run(settings: Settings) -> None:
    """Until somebody stops it."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    log.info("backups_scheduled", place=settings.backup_place, hours=settings.backup_interval_hours)
    keeper = asyncio.create_task(
        keep_taking(
            settings,
            _take,
            lambda place: log.info("backup_taken", place=place),
            lambda problem: log.error("backup_not_taken", reason=problem),
        ),
        name="backups",
    )
    stopped = asyncio.create_task(asked.wait(), name="signals")
    await asyncio.wait((keeper, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    keeper.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeper


async def _take() -> None:
    """One backup, to its end. Raises NotTaken, or OSError."""
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "10", sys.executable, "-P", "-m", "cli", "backup"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    try:
        output, _ = await process.communicate()
    finally:
        await _end(process)
    said = output.decode(errors="replace").strip()
    if process.returncode != 0:
        raise NotTaken(said[-_TAIL:] or f"status {process.returncode}")
    log.info("backup_said", text=said)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop it, if it still runs, so that it removes what is half written."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
