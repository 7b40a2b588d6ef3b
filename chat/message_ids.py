"""Ids of messages: UUIDs that sort as they were made (RFC 9562, version 7). Messages of one millisecond are
replayed in the order in which they were said.
"""

from __future__ import annotations

import secrets
import time
import uuid


def new_message_id() -> str:
    """A new one: milliseconds, 4,096ths of one, and 62 random bits."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    head = milliseconds << 16 | 7 << 12 | fraction
    return str(uuid.UUID(int=head << 64 | 0b10 << 62 | secrets.randbits(62)))
