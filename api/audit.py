"""The audit log: who did what, in the same transaction as the doing."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import AuditEntry


def record(
    session: AsyncSession,
    action: str,
    *,
    actor_id: int | None,
    target: str = "",
    address: str = "",
    **data: Any,
) -> None:
    """Add an entry to the caller's transaction.

    `data` holds no secrets; `target` is such as `user:7`.
    """
    session.add(
        AuditEntry(actor_id=actor_id, action=action, target=target, address=address, data=data)
    )
