"""App tokens: `flat_<token id>_<secret>`, what a bot or chat client logs in with.

The secret has 144 bits, so a plain SHA-256 of the whole text is stored: there is nothing to guess.
IRC clients send it as `PASS oauth:<token>`; tmi.js turns it into lower case before, so it has no other.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass
from enum import StrEnum

SECRET_LENGTH = 28
_ALPHABET = string.ascii_lowercase + string.digits
_FORM = re.compile(rf"flat_([1-9][0-9]{{0,18}})_([a-z0-9]{{{SECRET_LENGTH}}})", re.ASCII)


class Scope(StrEnum):
    """What a token may be used for."""

    CHAT_READ = "chat:read"
    CHAT_EDIT = "chat:edit"
    CHANNEL_MODERATE = "channel:moderate"


@dataclass(frozen=True)
class AppToken:
    """An app token in the clear. Its `repr` does not show the secret."""

    id: int
    secret: str

    def __repr__(self) -> str:
        return f"AppToken(id={self.id}, secret=…)"

    @property
    def text(self) -> str:
        """What its owner enters in the client."""
        return f"flat_{self.id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """The 32 bytes that are stored."""
        return hashlib.sha256(self.text.encode("ascii")).digest()


def parse(text: str) -> AppToken | None:
    """The token that `text` is exactly, or None when it is none."""
    found = _FORM.fullmatch(text)
    if found is None or int(found[1]) >= 2**63:
        return None
    return AppToken(int(found[1]), found[2])


def new_secret() -> str:
    """The secret part of a new token."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))
