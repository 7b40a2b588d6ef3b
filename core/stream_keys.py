"""Stream keys: `live_<key id>_<secret>`, shown once, stored as an HMAC under the server's pepper.

A key in a database dump is of no use without the master secret, and the id in it finds its row by
primary key, so that a wrong key costs one look-up and no comparison of secrets in SQL.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass

# 24 of 62 characters: 142 bits.
SECRET_LENGTH = 24
_ALPHABET = string.ascii_letters + string.digits
_FORM = re.compile(rf"live_([1-9][0-9]{{0,18}})_([A-Za-z0-9]{{{SECRET_LENGTH}}})", re.ASCII)


@dataclass(frozen=True)
class StreamKey:
    """A stream key in the clear. Its `repr` does not show the secret."""

    id: int
    secret: str

    def __repr__(self) -> str:
        return f"StreamKey(id={self.id}, secret=…)"

    @property
    def text(self) -> str:
        """What the streamer enters in OBS."""
        return f"live_{self.id}_{self.secret}"

    @property
    def hint(self) -> str:
        """Its last four characters, by which its owner tells keys apart (119 of 142 bits stay
        unknown).
        """
        return self.secret[-4:]

    def digest(self, pepper: bytes) -> bytes:
        """The 32 bytes that are stored."""
        return hmac.digest(pepper, self.text.encode("ascii"), hashlib.sha256)

    def matches(self, stored: bytes, pepper: bytes) -> bool:
        """Whether `stored` is this key's digest; takes the same time wherever they differ."""
        return hmac.compare_digest(self.digest(pepper), stored)


def new_secret() -> str:
    """Secret part of a new key."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def parse(text: str) -> StreamKey | None:
    """The key that `text` is exactly (no spaces, no query arguments), or None when it is none."""
    found = _FORM.fullmatch(text)
    if found is None or int(found[1]) >= 2**63:
        return None
    return StreamKey(int(found[1]), found[2])
