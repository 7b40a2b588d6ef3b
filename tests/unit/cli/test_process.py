from __future__ import annotations

import signal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cli.process import Backoff, ProcessSpec


def test_first_restart_comes_at_once_and_later_ones_wait_longer() -> None:
    backoff, delays = Backoff(), []
    for _ in range(9):
        backoff, delay = backoff.after_exit(uptime_s=0.5)
        delays.append(delay)
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0]


def test_a_process_that_ran_well_starts_afresh() -> None:
    backoff = Backoff(failures=7)
    backoff, delay = backoff.after_exit(uptime_s=60)
    assert delay == 0.1
    assert backoff.failures == 1


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=200))
def test_no_history_of_exits_waits_longer_than_the_limit(uptimes: list[float]) -> None:
    backoff = Backoff()
    for uptime in uptimes:
        backoff, delay = backoff.after_exit(uptime)
        assert backoff.first_s <= delay <= backoff.longest_s


def test_a_process_that_dies_for_days_does_not_overflow() -> None:
    _, delay = Backoff(failures=10**6).after_exit(0)
    assert delay == Backoff().longest_s


def test_command_sets_the_signal_that_comes_when_the_supervisor_dies() -> None:
    spec = ProcessSpec(
        name="postgres",
        title="PostgreSQL",
        argv=("/bin/postgres", "-D", "/data"),
        cwd=Path("/data"),
        death_signal=signal.SIGINT,
    )
    assert spec.command() == (
        *("setpriv", "--pdeathsig", "INT", "--"),
        *("/bin/postgres", "-D", "/data"),
    )
