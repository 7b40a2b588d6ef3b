"""Row 21: a backup of a running instance, everything wiped, restored: what people had, they have again."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.chat_kit import dial
from tests.e2e.recorded import ready_video, recorded
from tests.e2e.samples import Sample
from tests.e2e.stage import Stage, Streamer, start_stage, state_of
from tests.faults.conftest import Report
from tests.faults.live import live
from tests.faults.table import Strain
from tests.harness import SOURCE, eventually_async

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PASSWORD = "a password that survives"
SAID = ["first", "second 😀", "third"]


async def footlight(*arguments: str) -> str:
    """What a command of ours printed; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "cli", *arguments,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def log_in(stage: Stage, login: str) -> str:
    """An access token, by the password."""
    async with httpx.AsyncClient(base_url=stage.http, timeout=30) as client:
        name = {"login": login, "password": PASSWORD}
        answer = await client.post("/api/v1/auth/login", json=name)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


async def register(stage: Stage, login: str) -> None:
    async with httpx.AsyncClient(base_url=stage.http, timeout=30) as client:
        account = {"login": login, "password": PASSWORD, "email": f"{login}@example.org"}
        answer = await client.post("/api/v1/auth/register", json=account)
        assert answer.status_code == 201, answer.text


async def talk(stage: Stage, channel: str, login: str) -> None:
    """Say what is to be found again, and wait until it is written down."""
    client = await dial(stage.http)
    await client.send("hello", token=await log_in(stage, login))
    await client.next("welcome")
    await client.send("join", channel=channel)
    await client.next("joined")
    for text in SAID:
        await client.send("say", channel=channel, text=text)
        await client.next("message", text=text)
    await client.close()


async def heard(stage: Stage, channel: str) -> list[str]:
    """What somebody who comes in is shown."""
    client = await dial(stage.http)
    await client.send("hello")
    await client.next("welcome")
    await client.send("join", channel=channel)
    joined = await client.next("joined")
    await client.close()
    return [message["text"] for message in joined["history"]]


async def test_21_backup_wipe_restore(
    tmp_path_factory: pytest.TempPathFactory,
    sample: Sample,
    report: Report,
    strained_by: Callable[[Strain], None],
) -> None:
    """Taken while one channel is live: logins, keys, a video picture by picture and the chat are back; what
    was recorded of the broadcast that ran became its video.
    """
    folder = tmp_path_factory.mktemp("backup")
    data, archive, passphrase = folder / "data", folder / "all.tar.age", folder / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    secret = ("--passphrase-file", str(passphrase))
    kept = folder / "kept"
    with start_stage(data, backup_place=kept) as stage:
        # A first one is due at once, and `up` takes it.
        await eventually_async(
            lambda: asyncio.to_thread(_names, kept), within_s=60, what="a backup by itself"
        )
        async with live(stage, sample) as first:
            await first.playing(10)
            await first.finish()
        video = await ready_video(stage, first.channel.login)
        pictures = (await recorded(stage, int(video["id"]))).numbers
        await register(stage, "viewer")
        await talk(stage, first.channel.login, "viewer")
        async with live(stage, sample) as second:
            await second.playing(15)
            taken = await footlight("backup", "--data", str(data), *secret, str(archive))
            # It went on meanwhile, and after it.
            await second.playing(5)
        ran = second.channel
    shutil.rmtree(data)
    began = time.monotonic()
    restored = await footlight("restore", "--data", str(data), *secret, str(archive))
    restored_s = time.monotonic() - began
    with start_stage(data) as stage:
        ready_s = time.monotonic() - began
        assert (await recorded(stage, int(video["id"]))).numbers == pictures
        assert await heard(stage, first.channel.login) == SAID
        strained_by(Strain(said=len(SAID), missed=0, asked=0, failed=0))
        await log_in(stage, "viewer")
        cut = await ready_video(stage, ran.login)
        found = (await recorded(stage, int(cut["id"]))).numbers
        assert found == sorted(set(found))
        assert len(found) > 25
        # The keys that were made before still open the door.
        async with Streamer(stage, first.channel.key, sample):
            await state_of(stage, first.channel.login, "live")
    report(21, *_figures(taken, archive, restored_s, ready_s, restored))


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("footlight-*Z.tar")]


def _figures(
    taken: str, archive: Path, restored_s: float, ready_s: float, restored: str
) -> tuple[str]:
    """The line of the table: how large, and how long each step took."""
    size = archive.stat().st_size / 1e6
    backed_up = re.search(r" in ([\d.]+) s", taken)
    assert backed_up is not None, taken
    assert "all as it was written" in restored
    return (
        f"backup of {size:.1f} MB in {backed_up[1]} s, wiped, restored in {restored_s:.1f} s, "
        f"serving after {ready_s:.1f} s",
    )
