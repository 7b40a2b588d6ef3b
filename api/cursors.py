"""Opaque cursors for keyset pagination: where in an order the last page ended."""

from __future__ import annotations

import base64
import binascii
import json
import math
from datetime import UTC, datetime
from uuid import UUID

from core.errors import Invalid

Key = int | float | str | datetime | UUID
_LONGEST = 256
_INT64 = 2**63


def encode(order: str, *keys: Key) -> str:
    """The cursor behind the row with these sort keys in the order named `order`."""
    text = json.dumps([order, *map(_written, keys)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _written(key: Key) -> int | float | str:
    if isinstance(key, datetime):
        return key.astimezone(UTC).isoformat()
    return str(key) if isinstance(key, UUID) else key


def decode(cursor: str, order: str, *kinds: type[Key]) -> tuple[Key, ...]:
    """The sort keys in `cursor`.

    Raises Invalid (`invalid_cursor`) unless it is one of `order` with such keys.
    """
    try:
        if len(cursor) > _LONGEST or not cursor.isascii():
            raise ValueError("too long")
        padded = cursor + "=" * (-len(cursor) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(content, list) or len(content) != len(kinds) + 1 or content[0] != order:
            raise ValueError("of another list")
        return tuple(_key(value, kind) for value, kind in zip(content[1:], kinds, strict=True))
    except (ValueError, OverflowError, binascii.Error, RecursionError) as error:
        raise Invalid(
            "This cursor is not one of this list.", code="invalid_cursor", field="cursor"
        ) from error


def _key(value: object, kind: type[Key]) -> Key:
    if kind is str:
        # Ids of ours; PostgreSQL's text has no NUL.
        if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
            raise ValueError("not an id")
        return value
    if kind is float:
        if (
            isinstance(value, bool)
            or not isinstance(value, float | int)
            or not math.isfinite(value)
        ):
            raise ValueError("not a number")
        return float(value)
    if kind is datetime:
        if not isinstance(value, str):
            raise ValueError("not a time")
        time = datetime.fromisoformat(value)
        if time.tzinfo is None:
            raise ValueError("a time without a zone")
        return time.astimezone(UTC)
    if kind is UUID:
        if not isinstance(value, str):
            raise ValueError("not a UUID")
        return UUID(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -_INT64 <= value < _INT64:
        raise ValueError("not a number")
    return value
