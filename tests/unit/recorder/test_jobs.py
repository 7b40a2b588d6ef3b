"""What becomes of a job whose attempt failed."""

from __future__ import annotations

import pytest

from core.errors import Unavailable
from recorder.jobs import ATTEMPTS, PATIENT_ATTEMPTS, Failure, Retry, decide
from recorder.refusals import Refused


def test_what_can_never_be_done_is_told_at_once() -> None:
    assert decide(1, Refused("not_a_video", "No.")) == Failure("not_a_video", "No.")


def test_pauses_grow_up_to_a_limit() -> None:
    error = Unavailable("The storage does not answer.")
    pauses = [decide(n, error) for n in (1, 2, 3, 10)]
    assert pauses == [Retry(5), Retry(10), Retry(20), Retry(300)]


@pytest.mark.parametrize(
    ("error", "most", "code"),
    [
        (RuntimeError("a bug"), ATTEMPTS, "internal"),
        (Unavailable("The storage does not answer."), PATIENT_ATTEMPTS, "unavailable"),
    ],
)
def test_patience_ends(error: Exception, most: int, code: str) -> None:
    assert isinstance(decide(most - 1, error), Retry)
    ended = decide(most, error)
    assert isinstance(ended, Failure)
    assert ended.code == code


def test_a_bug_is_not_told_in_its_own_words() -> None:
    ended = decide(ATTEMPTS, RuntimeError("secret"))
    assert isinstance(ended, Failure)
    assert "secret" not in ended.message
