"""Which release this is, and which servers it needs."""

from __future__ import annotations

from core.errors import Unavailable

#: As in pyproject.toml, which is not there where only the code was copied.
RELEASE = "0.1.0"
#: The oldest of each that serves.
POSTGRESQL, REDIS = 15, 7


class TooOld(Unavailable):
    """A server that this release cannot work with: waiting does not make it newer."""


def require(server: str, version: str, least: int) -> None:
    """Raise TooOld for a server that is too old for this release."""
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < least:
        raise TooOld(f"{server} {version} is too old: {least} or newer is needed.")
