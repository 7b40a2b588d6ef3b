"""Keys for every purpose, derived from the one master secret with HKDF-SHA256 (RFC 5869)."""

from __future__ import annotations

from enum import Enum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.settings import Settings


class Purpose(Enum):
    """What a derived key is for. The values are labels: changing one changes the key."""

    STREAM_KEY_PEPPER = "stream-key-pepper/1"
    SIGNING_KEY_ENCRYPTION = "signing-key-encryption/1"
    CSRF = "csrf/1"
    EXPORT_LINK = "export-link/1"
    MEDIA_TOKENS = "media-tokens/1"
    PLAYBACK_IDS = "playback-ids/1"


def derive(settings: Settings, purpose: Purpose) -> bytes:
    """The 32-byte key for `purpose`, the same in every process of the installation."""
    hkdf = HKDF(
        algorithm=SHA256(), length=32, salt=None, info=b"footlight/" + purpose.value.encode()
    )
    return hkdf.derive(settings.secret_key.get_secret_value().encode())
