"""The areas of this folder; each file declares its operations where it is imported."""

from __future__ import annotations

from api.accounts import entry, own, recovery
from api.accounts.area import auth, me

__all__ = ["auth", "entry", "me", "own", "recovery"]
