"""The link of an e-mail: it downloads one export for whoever it was sent to, until it is over.

`<expiry>.<signature>`: seconds since the epoch, and the HMAC-SHA256 of `<export>|<account>|<expiry>` in
base64url without padding. It stands for the account: where somebody else is logged in, or the account is
suspended, gone or no longer the video's owner, it does nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime


def sign(key: bytes, job_id: int, user_id: int, expires_at: int) -> str:
    """The link's secret part."""
    signed = hmac.digest(key, f"{job_id}|{user_id}|{expires_at}".encode(), hashlib.sha256)
    return f"{expires_at}.{base64.urlsafe_b64encode(signed).decode().rstrip('=')}"


def verify(key: bytes, link: str, job_id: int, user_id: int, now: datetime) -> bool:
    """Whether `link` was made for this export and account, and is not over."""
    expiry, _, _ = link.partition(".")
    if not (expiry.isascii() and expiry.isdigit()) or len(expiry) > 12:
        return False
    good = hmac.compare_digest(
        link.encode("utf-8", "surrogateescape"), sign(key, job_id, user_id, int(expiry)).encode()
    )
    return good and now.astimezone(UTC).timestamp() < int(expiry)
