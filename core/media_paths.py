"""Paths on the edge that carry a signature: objects of another video, and exports.

They are signed with the same key as playback tokens (core.media_tokens), so that the edge can tell that
we made them (docs/protocols/vod.md).
"""

from __future__ import annotations

import base64
import hashlib
import hmac

# Of an object's signature: 96 bits, which nobody guesses at the rate at which an edge answers.
OBJECT_SIGNATURE_BYTES = 12


def object_path(key: bytes, owner: str, object_key: str) -> str:
    """Where `object_key` is below the path of `owner`, relative to it.

    `owner` is `vod/<video id>` or `clip-media/<clip id>`. A playlist names what lies in its owner's own
    folder as `<rendition>/<file>`; this is for what it takes from somebody else's: a clip's middle, which
    stays in the video. Whoever may watch the owner may fetch exactly these objects.
    """
    signed = _signature(key, f"object|{owner}|{object_key}")[:OBJECT_SIGNATURE_BYTES]
    return f"o/{_text(signed)}/{object_key}"


def export_path(key: bytes, video_id: int, job_id: int, ending: str, expires_at: int) -> str:
    """Where a finished export is downloaded until `expires_at`, seconds since the epoch.

    `ending` is `mp4` or `mp3`. A token for playback opens no export, and this one nothing else.
    """
    subject = f"{video_id}-{job_id}"
    signed = _text(_signature(key, f"vod|{subject}|{expires_at}"))
    return f"/vod/~{expires_at}.{subject}.{signed}/{video_id}/exports/{job_id}.{ending}"


def _signature(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)


def _text(signature: bytes) -> str:
    return base64.urlsafe_b64encode(signature).decode().rstrip("=")
