"""Asking recorder, which owns the tables of videos and clips, to change something.

Whether somebody may is decided here; recorder does it, and answers once the database holds it.
"""

from __future__ import annotations

from typing import Any

from api.operations import AnyCall
from core.events import recorder_question


async def ask(
    call: AnyCall, op: str, *, within_s: float | None = None, **fields: Any
) -> dict[str, Any]:
    """What recorder answers to `op`, waited for as long as for any server unless `within_s` says
    otherwise. Raises Unavailable, and whatever it says against it.
    """
    actor = call.actor
    who = {"id": actor.id, "login": actor.login, "role": str(actor.role)}
    return await call.api.bus.request(recorder_question(op), {"actor": who, **fields}, within_s)
