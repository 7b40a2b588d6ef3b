"""The wall clock jumps by an hour under our processes: nothing that lasts seconds depends on it."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from urllib.parse import urlsplit

import httpx
import pytest

from cli.instance import Layout, free_port
from cli.process import ProcessSpec
from cli.servers import Servers
from cli.services import Options, Services
from cli.toolchain import Toolchain
from tests.e2e.samples import Sample
from tests.e2e.stage import Stage, settings, state_of
from tests.faults.conftest import Report
from tests.faults.live import live
from tests.faults.table import Strain
from tests.harness import RunningInstance, eventually, start_instance

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

HOUR_S = 3600
#: Tokens may be this far in the future, or over, seconds.
LEEWAY_S = 60

SetClock = Callable[[int], None]


def _library(toolchain: Toolchain) -> Path:
    """libfaketime for programs with threads, where Debian puts it."""
    for root in (*toolchain.package_folders, Path("/")):
        for library in root.glob("usr/lib/*/faketime/libfaketimeMT.so.1"):
            return library
    raise AssertionError("libfaketime is not among the test packages")


@pytest.fixture(scope="module")
def shifted(
    tmp_path_factory: pytest.TempPathFactory, toolchain: Toolchain
) -> Iterator[tuple[Stage, SetClock]]:
    """An instance whose own processes take the time from a file, and how to set it: seconds from now.

    The servers keep the true time, and so does the machine: `up` runs the servers alone.
    """
    folder = tmp_path_factory.mktemp("clock")
    offset = folder / "offset"

    def set_clock(by_s: int) -> None:
        draft = offset.with_suffix(".new")
        draft.write_text(f"{by_s:+d}\n")
        draft.replace(offset)

    set_clock(0)
    environment = {
        "LD_PRELOAD": str(_library(toolchain)),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
        "NO_FAKE_STAT": "1",
        **settings(),
    }
    with start_instance(folder / "data", "--servers-only") as running, ExitStack() as stack:
        specs = _processes(running, toolchain)
        for spec in specs:
            stack.enter_context(_started(spec, {**os.environ, **spec.environment, **environment}))
        # Together: the API is ready when ingest is.
        eventually(lambda: asyncio.run(_ready(specs)), within_s=60, what="all are ready")
        yield Stage(running), set_clock


def _processes(running: RunningInstance, toolchain: Toolchain) -> list[ProcessSpec]:
    """Our own processes over the servers that run, as `up` would start them."""
    web, rtmp = (int(re.findall(r":(\d+)", running.info[name])[-1]) for name in ("http", "rtmp"))
    nats, s3 = urlsplit(running.info["nats"]), urlsplit(running.info["s3"]["endpoint"])
    layout = Layout.of(running.data)
    servers = replace(Servers.choose(layout, set()), nats_port=nats.port or 0, s3_port=s3.port or 0)
    options = Options(running.data, http_port=web, rtmp_port=rtmp)
    services = Services(options, layout, servers, toolchain, free_port({web, rtmp}))
    return [*services.specs(), services.edge(), services.rtmp()]


@contextmanager
def _started(spec: ProcessSpec, environment: dict[str, str]) -> Iterator[None]:
    """One process in a group of its own, which is killed at the end."""
    if spec.before_start is not None:
        asyncio.run(_prepare(spec.before_start))
    configuration = spec.cwd / "nginx.conf"
    if configuration.exists():
        # nginx clears its environment, and libfaketime asks it each time.
        kept = "".join(f"env {name};\n" for name in environment if "FAKE" in name)
        configuration.write_text(kept + configuration.read_text())
    with (spec.cwd / f"{spec.name}.log").open("wb") as output:
        process = subprocess.Popen(
            spec.command(),
            cwd=spec.cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def _prepare(before_start: Callable[[], Awaitable[None]]) -> None:
    await before_start()


async def _ready(specs: list[ProcessSpec]) -> bool:
    return all([await spec.ready() for spec in specs if spec.ready is not None])


async def test_17_clock_jumps(
    shifted: tuple[Stage, SetClock],
    sample: Sample,
    report: Report,
    strained_by: Callable[[Strain], None],
) -> None:
    stage, set_clock = shifted
    async with live(stage, sample) as running, httpx.AsyncClient(base_url=stage.http) as client:
        login = running.channel.login
        before = await state_of(stage, login, "live")
        tokens = await _log_in(client)
        set_clock(LEEWAY_S // 2)
        assert await _me(client, tokens) == 200
        set_clock(-LEEWAY_S // 2)
        assert await _me(client, tokens) == 200

        # An hour ahead while the encoder is away: the grace window has its own clock.
        running.streamer.may_dial.clear()
        await running.streamer.connection.cut()
        await state_of(stage, login, "reconnecting", within_s=2)
        set_clock(HOUR_S)
        assert await _clock_of(client) > HOUR_S - LEEWAY_S
        await asyncio.sleep(1.5)
        assert (await state_of(stage, login, "reconnecting"))["session"] == before["session"]
        running.streamer.may_dial.set()
        assert (await state_of(stage, login, "live"))["session"] == before["session"]
        assert await _me(client, tokens) == 401
        tokens = await _refreshed(client, tokens)
        assert await _me(client, tokens) == 200
        await running.playing()

        # Two hours back: what was issued in what is now the future does not count, a new login does.
        set_clock(-HOUR_S)
        assert await _me(client, tokens) == 401
        assert await _me(client, await _log_in(client)) == 200
        await running.playing(15)
        async with stage.channel() as other, await stage.publisher(other.key) as connection:
            pushing = asyncio.create_task(connection.push(sample.tags))
            await state_of(stage, other.login, "live")
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await connection.stop()
            await state_of(stage, other.login, "offline", within_s=2)
        set_clock(0)
        await running.playing()
        outcome = await running.finish()
        # Playlists give times of day: those of one broadcast follow each other all the same.
        assert (outcome.findings, outcome.discontinuities, outcome.dropped) == ([], 1, 0)
        await stage.broadcasts(login, ("ended", "stopped"))
        source = running.source
        asked = len(source.playlists) + len(source.deltas) + len(source.files)
        strained_by(Strain(said=0, missed=0, asked=asked, failed=len(source.failures)))
        report(
            17,
            "our clocks + 1 h, then − 2 h",
            lost=outcome.lost,
            remark="stream, grace window and new logins untouched",
        )


async def _clock_of(client: httpx.AsyncClient) -> float:
    """How far ahead of ours the clock of the edge is, seconds: the jump has reached its processes."""
    answer = await client.get("/healthz")
    return parsedate_to_datetime(answer.headers["Date"]).timestamp() - time()


async def _log_in(client: httpx.AsyncClient) -> dict[str, str]:
    """A new account's tokens."""
    login, password = f"clock_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    account = {"login": login, "email": f"{login}@example.org", "password": password}
    (await client.post("/api/v1/auth/register", json=account)).raise_for_status()
    answer = await client.post("/api/v1/auth/login", json={"login": login, "password": password})
    answer.raise_for_status()
    tokens: dict[str, str] = answer.json()
    return tokens


async def _refreshed(client: httpx.AsyncClient, tokens: dict[str, str]) -> dict[str, str]:
    body = {"refresh_token": tokens["refresh_token"]}
    answer = await client.post("/api/v1/auth/refresh", json=body)
    answer.raise_for_status()
    found: dict[str, str] = answer.json()
    return found


async def _me(client: httpx.AsyncClient, tokens: dict[str, str]) -> int:
    """Status of a request with the access token."""
    authorization = {"Authorization": f"Bearer {tokens['access_token']}"}
    return (await client.get("/api/v1/me", headers=authorization)).status_code
