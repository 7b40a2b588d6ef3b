"""What a flood may do to viewers and to another room, and when a run has failed."""

from __future__ import annotations

import pytest

from bench.floods import Figures, exceeded

BEFORE = Figures([0.010] * 99 + [0.030], [0.003] * 99 + [0.012], 0, 0)


@pytest.mark.parametrize(
    ("parts", "messages", "over"),
    [
        ([0.010] * 99 + [0.030], [0.003] * 99 + [0.012], []),
        # One and a half times, and what is less than 5 ms more.
        ([0.015] * 99 + [0.045], [0.0079] * 99 + [0.0169], []),
        ([0.016] * 99 + [0.030], [0.003] * 99 + [0.012], ["parts"]),
        ([0.010] * 97 + [0.050] * 3, [0.003] * 97 + [0.019] * 3, ["parts", "chat"]),
    ],
)
def test_what_is_too_much(parts: list[float], messages: list[float], over: list[str]) -> None:
    assert exceeded(Figures(parts, messages, 0, 0), BEFORE) == over
