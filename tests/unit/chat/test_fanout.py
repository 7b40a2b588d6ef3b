"""When flushes are due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.fanout import BURST, Coalescer

INTERVAL = 0.1


def flushes(arrivals: list[float]) -> tuple[list[float], list[float]]:
    """When a room with messages at these times is flushed, and how long each message waited."""
    coalescer = Coalescer(INTERVAL)
    times: list[float] = []
    waits: list[float] = []
    pending: list[float] = []
    due = float("inf")
    for at in [*arrivals, float("inf")]:
        if pending and due <= at:
            times.append(due)
            waits += [due - each for each in pending]
            coalescer.flushed(due)
            pending = []
        if at == float("inf"):
            break
        if not pending:
            due = at + coalescer.wait(at)
        pending.append(at)
    return times, waits


def test_a_calm_room_never_waits() -> None:
    arrivals = [10 + INTERVAL * (n + 0.2 * (-1) ** n) for n in range(100)]
    times, waits = flushes(sorted(arrivals))
    assert len(times) == 100
    assert max(waits) == 0


def test_a_busy_room_is_bundled() -> None:
    times, waits = flushes([10 + n / 200 for n in range(2000)])
    assert len(times) <= 10 / INTERVAL + BURST + 1
    assert max(waits) <= INTERVAL * 1.001


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_no_message_waits_longer_than_an_interval(arrivals: list[float]) -> None:
    times, waits = flushes(sorted(arrivals))
    assert len(waits) == len(arrivals)
    assert max(waits) <= INTERVAL + 1e-6
    for start in times:
        within = [at for at in times if start <= at < start + 1]
        assert len(within) <= 1 / INTERVAL + BURST + 1
