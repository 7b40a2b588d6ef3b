"""Emotes and mentions in a text. Pure; positions count code points, the end included, as on Twitch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_WORD = re.compile(r"\S+")
_MENTION = re.compile(r"(?<![\w@])@([A-Za-z0-9][A-Za-z0-9_]{2,24})(?![A-Za-z0-9_])", re.ASCII)
MENTIONS = 10


def find(text: str, codes: Mapping[str, int]) -> list[dict[str, Any]]:
    """The words of `text` that are emotes: `{id, code, start, end}`."""
    if not codes:
        return []
    return [
        {"id": str(codes[word]), "code": word, "start": at.start(), "end": at.end() - 1}
        for at in _WORD.finditer(text)
        if (word := at[0]) in codes
    ]


def only(text: str, codes: Mapping[str, int]) -> bool:
    """Whether every word of `text` is an emote."""
    words = text.split()
    return bool(words) and all(word in codes for word in words)


def mentions(text: str) -> list[str]:
    """Logins that a text addresses with an @, each once."""
    if "@" not in text:
        return []
    return list(dict.fromkeys(found.lower() for found in _MENTION.findall(text)))[:MENTIONS]
