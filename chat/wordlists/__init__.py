"""The word lists of AutoMod, as data. README.md says where they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def lists() -> Iterator[tuple[str, str]]:
    """Category and content of every list."""
    for file in sorted(Path(__file__).parent.glob("*/*.txt")):
        yield file.stem, file.read_text(encoding="utf-8")
