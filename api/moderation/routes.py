"""The areas of this folder; each file declares its operations where it is imported."""

from __future__ import annotations

from api.moderation import bans, cards, held, log, roles, settings, terms, unbans, warnings
from api.moderation.access import moderation
from api.moderation.unbans import unban_requests

__all__ = [
    "bans",
    "cards",
    "held",
    "log",
    "moderation",
    "roles",
    "settings",
    "terms",
    "unban_requests",
    "unbans",
    "warnings",
]
