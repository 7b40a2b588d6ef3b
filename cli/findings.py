"""What a check of `footlight doctor` says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How a check ended."""

    GOOD = "ok"
    ADVICE = "note"
    BAD = "BAD"


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it."""

    verdict: Verdict
    title: str
    detail: str
    mend: str = ""
