"""Hooks that come twice, late, in the wrong order, or never: all hangs on (boot, client id)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.e2e.samples import Sample
from tests.e2e.stage import Contention, Stage, kill, state_of
from tests.faults.conftest import Report
from tests.faults.live import UNTOUCHED, live

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

GRACE_S = 4.0


@asynccontextmanager
async def _ingest(stage: Stage) -> AsyncIterator[aiohttp.ClientSession]:
    """A client where nginx is one: on ingest's own socket."""
    connector = aiohttp.UnixConnector(str(stage.socket("ingest")))
    async with aiohttp.ClientSession("http://ingest", connector=connector) as client:
        yield client


async def test_15_repeated_reordered_and_forged_hooks(
    stage: Stage, sample: Sample, unnoticed: None, report: Report
) -> None:
    """A running stream's own hooks again, older than they were, and under other names change nothing."""
    async with live(stage, sample) as running, _ingest(stage) as ingest:
        login = running.channel.login
        before = await state_of(stage, login, "live")
        publisher = json.loads((await stage.broadcasts(login, ("live", None)))[0]["publisher"])
        client, order, name = publisher["client"], int(publisher["order"]), publisher["name"]

        async def hook(
            call: str, number: int, *, at: int = order, boot: str = publisher["boot"], **more: str
        ) -> tuple[int, str]:
            fields = {"app": "live", "call": call, "clientid": str(number), **more}
            headers = {"X-Nginx-Boot": boot, "X-Hook-Order": str(at)}
            async with ingest.post(
                f"/hooks/{call}", data=fields, headers=headers, allow_redirects=False
            ) as answer:
                await answer.read()
                return answer.status, answer.headers.get("Location", "")

        key = running.channel.key
        # nginx asks again what it has asked: the same answer, and no second worker.
        assert await hook("publish", client, name=key) == (302, name)
        assert len(stage.workers(running.session)) == 1
        # The end of a connection of another life of nginx, of one nobody knows, and of one refused.
        for number, boot in ((client, "another-boot"), (client + 1000, publisher["boot"])):
            for call in ("publish_done", "disconnect", "publish_done"):
                assert (await hook(call, number, boot=boot, at=order + 50, name=key))[0] == 204
        assert (await hook("publish", client + 1001, name="live_1_wrong", at=order + 60))[0] == 403
        assert (await hook("publish_done", client + 1001, name=key, at=order + 61))[0] == 204
        # Its disconnect overtook its publish: the connection is gone, whatever it asks for.
        assert (await hook("disconnect", client + 1002, at=order + 71))[0] == 204
        assert (await hook("publish", client + 1002, name=key, at=order + 70))[0] == 403
        # What no honest nginx sends.
        assert (await hook("publish", client + 1003, name=key + "&clientid=1"))[0] == 403
        assert (await hook("play", client + 1004, name=name))[0] == 403
        assert (await hook("update", client + 1005, name=key))[0] in (204, 403)
        await running.playing()
        after = await state_of(stage, login, "live")
        assert after["session"] == before["session"]
        outcome = await running.finish()
        assert outcome == UNTOUCHED
        await stage.broadcasts(login, ("ended", "stopped"))
        report(15, "repeated, reordered and forged hooks", lost=outcome.lost, remark="idempotent")


async def test_15_hooks_lost_with_ingest(
    stage: Stage, sample: Sample, report: Report, contention: Contention
) -> None:
    """An encoder that leaves while ingest is dead: no hook ever tells, a comparison with nginx does."""
    async with live(stage, sample) as running, live(stage, sample) as gone:
        running.streamer.may_dial.clear()
        gone.streamer.may_dial.clear()
        killed = kill(stage.instance.pid("ingest"))
        await gone.streamer.connection.cut()
        await state_of(stage, gone.channel.login, "reconnecting", within_s=20)
        told_s = time.monotonic() - killed
        await state_of(
            stage, gone.channel.login, "offline", within_s=contention.limit(GRACE_S + 15)
        )
        ended_s = time.monotonic() - killed
        await stage.broadcasts(gone.channel.login, ("ended", "grace_over"))
        await asyncio.wait_for(gone.following, 10)
        # The one that stayed goes on as if nothing had been.
        await running.playing()
        assert len(running.streamer.legs) == 1
        report(
            15,
            "hooks lost with ingest, killed",
            recovered_s=told_s,
            remark=f"found missing by comparison; ended {ended_s:.1f} s after (grace {GRACE_S:.0f} s)",
        )
