"""Buckets are emptied at once, fill evenly, and are not remembered without end."""

from __future__ import annotations

import pytest

from core.buckets import Buckets


def test_a_bucket_gives_its_size_at_once_and_fills_evenly() -> None:
    buckets: Buckets[str] = Buckets(10, 0.5)
    assert [buckets.take("a", 0.0) for _ in range(11)] == [0.0] * 10 + [2.0]
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 1.0) == pytest.approx(1.0)
    assert buckets.take("a", 2.0) == 0.0
    assert sum(buckets.take("a", 1000.0) == 0.0 for _ in range(20)) == 10


def test_asking_takes_nothing() -> None:
    buckets: Buckets[str] = Buckets(2, 1)
    assert buckets.wait_s("a", 0.0) == 0.0
    buckets.take("a", 0.0, 2)
    assert buckets.wait_s("a", 0.0) == buckets.wait_s("a", 0.0) == 1.0
    # A clock that is set back fills nothing, and takes nothing away.
    assert buckets.wait_s("a", -5.0) == 1.0


def test_who_was_longest_unheard_of_is_forgotten() -> None:
    buckets: Buckets[int] = Buckets(1, 1, most=3)
    for subject in (1, 2, 3, 1, 4):
        buckets.take(subject, 0.0)
    assert [buckets.wait_s(subject, 0.0) for subject in (1, 2, 3, 4)] == [1.0, 0.0, 1.0, 1.0]


def test_a_queue_is_as_long_as_patience() -> None:
    buckets: Buckets[str] = Buckets(1, 2)
    assert [buckets.queue("a", 0.0, 1.5) for _ in range(5)] == [0.0, 0.5, 1.0, 1.5, None]
    assert buckets.queue("a", 1.0, 1.5) == 1.0
    assert buckets.queue("b", 1.0, 1.5) == 0.0
