"""What lets a player at a video that not everybody may watch: a token in the path of its playlists.

`<expiry>.<video id>.<signature>`: seconds since the epoch, and the HMAC-SHA256 of `vod|<id>|<expiry>` in
base64url without padding. The edge checks it (docs/protocols/vod.md); addresses in playlists are relative,
so everything below inherits it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac


def media_token(key: bytes, video_id: int, expires_at: int) -> str:
    """The token of a video until `expires_at`, seconds since the epoch."""
    signed = hmac.digest(key, f"vod|{video_id}|{expires_at}".encode(), hashlib.sha256)
    return f"{expires_at}.{video_id}.{base64.urlsafe_b64encode(signed).decode().rstrip('=')}"
