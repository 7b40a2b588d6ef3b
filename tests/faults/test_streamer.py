"""Faults on the streamer's side: cuts, frozen encoders, two of them with one key, keys that are no good."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Sample
from tests.e2e.stage import Contention, Stage, frozen, state_of, together
from tests.faults.conftest import Report
from tests.faults.live import live

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

#: The grace window of the instance.
GRACE_S = 4.0
GOP_S = 1.0


async def test_12_cuts(
    stage: Stage, sample: Sample, unnoticed: None, report: Report, contention: Contention
) -> None:
    """A short cut and one that just fits are the same stream; a longer one is its end and a new one."""
    short, nearly, over = await together(
        _cut_for(stage, sample, contention, 1.0),
        _cut_for(stage, sample, contention, GRACE_S - 1),
        _cut_for(stage, sample, contention, GRACE_S + 1),
    )
    report(12, "streamer cut for 1 s", recovered_s=short[0], lost=short[1], remark="same stream")
    report(
        12,
        "streamer cut for grace − 1 s",
        recovered_s=nearly[0],
        lost=nearly[1],
        remark="same stream",
    )
    report(
        12,
        "streamer cut for grace + 1 s",
        recovered_s=over[0],
        remark="one end, a new stream",
    )


async def _cut_for(
    stage: Stage, sample: Sample, contention: Contention, outage_s: float
) -> tuple[float, int]:
    """Cut, wait, let the encoder dial: seconds from the dial to the picture, and pictures lost."""
    async with live(stage, sample) as running:
        login = running.channel.login
        before = await state_of(stage, login, "live")
        running.streamer.may_dial.clear()
        cut = time.monotonic()
        await running.streamer.connection.cut()
        await state_of(stage, login, "reconnecting", within_s=2)
        same = outage_s < GRACE_S
        if not same:
            await state_of(stage, login, "offline", within_s=contention.limit(GRACE_S))
            assert time.monotonic() - cut > GRACE_S - 0.5
            await asyncio.wait_for(running.following, 10)
            assert running.source.ended
        await asyncio.sleep(max(0.0, cut + outage_s - time.monotonic()))
        dialled = time.monotonic()
        running.streamer.may_dial.set()
        after = await state_of(stage, login, "live", within_s=10)
        back_s = time.monotonic() - dialled
        assert (after["stream_id"] == before["stream_id"]) is same
        assert (after["session"] == before["session"]) is same
        if not same:
            await stage.broadcasts(login, ("ended", "grace_over"), ("live", None))
            outcome = running.outcome()
            assert outcome.findings == []
            return back_s, outcome.lost
        await running.playing()
        outcome = await running.finish()
        await stage.broadcasts(login, ("ended", "stopped"))
        assert outcome.findings == []
        assert outcome.discontinuities == 1
        assert outcome.dropped == 0
        assert back_s < contention.limit(2 + GOP_S)
        return back_s, outcome.lost


async def test_13_frozen_publisher_then_a_reconnect(
    stage: Stage, sample: Sample, unnoticed: None, report: Report, contention: Contention
) -> None:
    """The encoder's old connection hangs; the new one takes over, and the old one's end is no end."""
    async with live(stage, sample) as running:
        login = running.channel.login
        before = await state_of(stage, login, "live")
        old = running.streamer.connection
        await running.streamer.freeze()
        # Dead for the encoder, alive for the server: nothing comes, nothing is closed.
        began = time.monotonic()
        running.streamer.go_on()
        await running.streamer.sending(1)
        admitted_s = time.monotonic() - began
        assert admitted_s < contention.limit(1.0)
        back_s = await running.recovered(began)
        # nginx has dropped the old connection by now, or learns of its end here.
        await old.cut()
        await running.playing()
        after = await state_of(stage, login, "live")
        assert after["stream_id"] == before["stream_id"]
        outcome = await running.finish()
        assert outcome.findings == []
        assert outcome.discontinuities == 1
        assert outcome.dropped == 0
        report(
            13,
            "frozen publisher, then a reconnect",
            recovered_s=back_s,
            lost=outcome.lost,
            remark=f"let in after {admitted_s:.2f} s",
        )


async def test_14_two_publishers_with_one_key(
    stage: Stage, sample: Sample, unnoticed: None, report: Report, contention: Contention
) -> None:
    """The newest wins three times in a minute; then the one that is live stays."""
    async with live(stage, sample) as running:
        channel = running.channel
        before = await state_of(stage, channel.login, "live")
        running.streamer.may_dial.clear()
        rivals: list[Connection] = []
        pushes: list[asyncio.Task[float]] = []
        took: list[float] = []
        try:
            for takeover in range(3):
                began = time.monotonic()
                rival = await stage.publisher(channel.key)
                took.append(time.monotonic() - began)
                rivals.append(rival)
                pushes.append(asyncio.create_task(rival.push(sample.tags)))
                incumbent = running.streamer.connection if takeover == 0 else rivals[-2]
                await asyncio.wait_for(incumbent.closed.wait(), contention.limit(1))
                await running.recovered(began)
            with pytest.raises(Rejected, match="too_many_takeovers"):
                await stage.publisher(channel.key)
            await running.playing()
            assert not rivals[-1].closed.is_set()
            assert (await state_of(stage, channel.login, "live"))["session"] == before["session"]
            told = (await stage.attempts(channel))[0]
            assert (told["code"], told["accepted"]) == ("too_many_takeovers", False)
            assert told["message"]
            audited = await stage.rows(
                "select data from audit_log where action = 'stream.taken_over' and target = $1",
                f"channel:{(await stage.streams(channel.login))[0]['channel_id']}",
            )
            assert len(audited) == 3
        finally:
            for push in pushes:
                push.cancel()
            await asyncio.gather(*pushes, return_exceptions=True)
            for rival in rivals:
                await rival.cut()
        assert min(took) < 1.0
        assert max(took) < contention.limit(1.0)
        assert running.source.findings() == []
        report(
            14,
            "two publishers with one key",
            recovered_s=max(took),
            remark="newest wins 3 times, then refused with the reason",
        )


async def test_14_keys_that_are_no_good(
    stage: Stage, sample: Sample, unnoticed: None, report: Report, contention: Contention
) -> None:
    """A wrong secret, no key at all and a deleted key are refused; deleting one in use ends its stream."""
    async with live(stage, sample) as running:
        channel = running.channel
        key_id, secret = channel.key.split("_")[1:3]
        wrong = secret[:-1] + ("a" if secret[-1] != "a" else "b")
        for name, code in (
            (f"live_{key_id}_{wrong}", "wrong_key"),
            (f"live_999999_{secret}", "unknown_key"),
            ("stream", "unknown_key"),
        ):
            with pytest.raises(Rejected, match=code):
                await stage.publisher(name)
        assert "wrong_key" in [told["code"] for told in await stage.attempts(channel)]
        # Nothing of this touched the stream that runs.
        await running.playing()
        assert running.source.findings() == []
        running.streamer.may_dial.clear()
        deleted = time.monotonic()
        answer = await channel.client.delete(f"/api/v1/me/stream-keys/{key_id}")
        assert answer.status_code == 204, answer.text
        await asyncio.wait_for(running.streamer.connection.closed.wait(), contention.limit(5))
        dropped_s = time.monotonic() - deleted
        await state_of(stage, channel.login, "offline", within_s=2)
        with pytest.raises(Rejected, match="revoked_key"):
            await stage.publisher(channel.key)
        await asyncio.wait_for(running.following, 10)
        assert running.source.ended
        assert dropped_s < contention.limit(5)
        report(14, "a stream key deleted in use", recovered_s=dropped_s, remark="dropped")


async def test_14_a_key_deleted_while_the_event_bus_is_frozen(
    stage: Stage, sample: Sample, live_unnoticed: None, report: Report, contention: Contention
) -> None:
    """The event is lost in a bus that does not answer: ingest looks the keys up by itself."""
    async with live(stage, sample) as running:
        running.streamer.may_dial.clear()
        with frozen(stage.instance.pid("nats")):
            deleted = time.monotonic()
            key_id = running.channel.key.split("_")[1]
            answer = await running.channel.client.delete(f"/api/v1/me/stream-keys/{key_id}")
            assert answer.status_code == 204, answer.text
            await asyncio.wait_for(running.streamer.connection.closed.wait(), contention.limit(5))
            dropped_s = time.monotonic() - deleted
        report(14, "the same, NATS frozen", recovered_s=dropped_s, remark="dropped")
