"""What open pages and players are told of a channel, through the edges, the moment it changes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ingest.edge import Edges
from ingest.records import Show
from ingest.session import Phase

_STATES = {
    Phase.LIVE: "live",
    Phase.CLOSING: "live",
    Phase.RECONNECTING: "reconnecting",
    Phase.RESUMING: "reconnecting",
}
#: Warnings that viewers are told too.
VIEWERS_CONCERN = frozenset({"no_compatible_rendition"})


def path(login: str) -> str:
    """Where an edge keeps a channel's state."""
    return f"/channels/{login}"


def post(edges: Edges, show: Show) -> None:
    """Tell the edges how a running session is; nothing before its first picture."""
    session = show.session
    state = _STATES.get(session.phase)
    # A publisher that stops before its first picture is CLOSING, too, and was never live.
    if state is None or not session.started:
        return
    warnings = [w.as_json() for w in show.broadcast.watch.warnings if w.code in VIEWERS_CONCERN]
    content = _content(
        show.login, state, session.id, str(show.stream_id), show.started_at, warnings
    )
    edges.put(path(show.login), content, {"X-Session": session.id})


def post_offline(edges: Edges, login: str) -> None:
    """Tell the edges that a channel has no stream."""
    edges.put(path(login), _content(login, "offline", None, None, None, []), {"X-Session": ""})


def _content(
    login: str,
    state: str,
    session: str | None,
    stream_id: str | None,
    started_at: datetime | None,
    warnings: list[dict[str, str]],
) -> str:
    at = started_at.isoformat(timespec="milliseconds") if started_at else None
    content: dict[str, Any] = {
        "login": login,
        "state": state,
        "session": session,
        "stream_id": stream_id,
        "started_at": at.replace("+00:00", "Z") if at else None,
        "warnings": warnings,
    }
    return json.dumps(content)
