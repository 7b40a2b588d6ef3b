"""A data folder whose content is replaced by a restored one, all of it or nothing.

The new instance is made in the folder `restoring`, by servers of its own. Once it is whole a file says so,
and its parts change places with what is there. Whoever is killed in between leaves that file, and the next
`up` or `restore` goes on from it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from cli.instance import Layout, SetupError, read_instance, write_private
from cli.source import SOURCE
from core.settings import Settings

DRAFT = "restoring"
COMPLETE = "complete"
#: What a restored instance brings.
BROUGHT = ("postgres", "postgres-conf", "s3", "secrets", "prepared", "release.json")
#: What has to go with that which it replaces: it tells of things that the new one never heard of.
LEFT = ("redis", "nats", "spool", "s3-cache")
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 30.0


@asynccontextmanager
async def restored_aside(layout: Layout, secrets: Mapping[str, bytes]) -> AsyncIterator[Settings]:
    """Servers in a folder aside, with the secrets of a backup; complete when the block ends.

    Nothing of it stays when the block raises. Raises SetupError when the servers do not start.
    """
    draft = layout.data / DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    aside = Layout.of(draft)
    aside.prepare()
    try:
        for name, content in secrets.items():
            write_private(aside.secrets / Path(name).name, content.decode())
        async with _servers(aside) as settings:
            yield settings
        write_private(draft / COMPLETE, "Its parts take their places.\n")
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


@asynccontextmanager
async def _servers(layout: Layout) -> AsyncIterator[Settings]:
    """The servers of an instance and no more, as `up` runs them."""
    arguments = ("up", "--servers-only", "--data", str(layout.data))
    death = ("setpriv", "--pdeathsig", "TERM", "--")
    with tempfile.TemporaryFile() as output:
        process = await asyncio.create_subprocess_exec(
            *death, sys.executable, "-P", "-m", "cli", *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            cwd=SOURCE,
        )  # fmt: skip
        try:
            environment = await _environment(layout, process)
            if environment is None:
                output.seek(0)
                said = output.read()[-3000:].decode(errors="replace")
                raise SetupError(f"The servers to restore into do not start:\n{said}")
            os.environ.update(environment)
            yield Settings.model_validate({})
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _environment(
    layout: Layout, process: asyncio.subprocess.Process
) -> dict[str, str] | None:
    """The settings of the servers once they are ready; None when they end before that, or never are."""
    deadline = time.monotonic() + START_TIMEOUT_S
    ended = asyncio.create_task(process.wait(), name="servers")
    try:
        while not ended.done() and time.monotonic() < deadline:
            content = read_instance(layout.data)
            if content is not None:
                environment: dict[str, str] = content["environment"]
                return environment
            await asyncio.wait({ended}, timeout=0.1)
        return None
    finally:
        ended.cancel()


def settle(layout: Layout) -> Path | None:
    """Have a complete restored instance take its place: the folder with what was there, if anything was.

    Nothing happens without one. Safe to repeat after a kill.
    """
    draft = layout.data / DRAFT
    if not (draft / COMPLETE).exists():
        return None
    aside = layout.data / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for name in LEFT:
        _put_aside(layout.data / name, aside)
    for name in BROUGHT:
        if (draft / name).exists():
            _put_aside(layout.data / name, aside)
            (draft / name).rename(layout.data / name)
    shutil.rmtree(draft)
    return aside if aside.exists() else None


def _put_aside(path: Path, aside: Path) -> None:
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    elif path.exists():
        aside.mkdir(mode=0o700, exist_ok=True)
        path.rename(aside / path.name)
