"""The tus protocol's headers, read and written (https://tus.io/protocols/resumable-upload, 1.0.0). Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from core.errors import Invalid, Malformed

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,expiration,checksum"
CONTENT_TYPE = "application/offset+octet-stream"
CHECKSUM_MISMATCH = 460
_DIGESTS: Mapping[str, Callable[[], Any]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
}
ALGORITHMS = ",".join(_DIGESTS)
_DIGITS = 15
NAME_LENGTH = 200


@dataclass
class Checksum:
    """What a request's body has to be."""

    wanted: bytes
    digest: Any

    def add(self, data: bytes) -> None:
        """The body goes on."""
        self.digest.update(data)

    @property
    def good(self) -> bool:
        """Whether the body was this."""
        return bool(self.digest.digest() == self.wanted)


def number(headers: Mapping[str, str], name: str) -> int:
    """A header that is a number of bytes. Raises Malformed."""
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS:
        raise Malformed(f"The header {name} has to be a number of bytes.", code="invalid_header")
    return int(text)


def checksum(headers: Mapping[str, str]) -> Checksum | None:
    """Upload-Checksum: an algorithm and a digest in base64. Raises Malformed (400, as the extension
    says of an algorithm that is not offered).
    """
    text = headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, value = text.partition(" ")
    make = _DIGESTS.get(algorithm)
    if make is None:
        raise Malformed(f"The checksum has to be one of {ALGORITHMS}.", code="invalid_checksum")
    try:
        return Checksum(base64.b64decode(value.strip(), validate=True), make())
    except (binascii.Error, ValueError) as error:
        raise Malformed("The checksum is not base64.", code="invalid_checksum") from error


def metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Upload-Metadata: names and their values in base64. Raises Malformed, Invalid."""
    found: dict[str, str] = {}
    for pair in filter(
        None, (part.strip() for part in headers.get("Upload-Metadata", "").split(","))
    ):
        name, _, value = pair.partition(" ")
        try:
            text = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise Malformed("Upload-Metadata is not base64.", code="invalid_metadata") from error
        if not name or name in found:
            raise Invalid("Upload-Metadata names something twice.", code="invalid_metadata")
        found[name] = text
    return found


def file_name(given: Mapping[str, str]) -> str:
    """`filename` of Upload-Metadata, as much of it as can be shown."""
    name = unicodedata.normalize("NFC", given.get("filename", ""))
    return "".join(letter for letter in name if letter.isprintable()).strip()[:NAME_LENGTH]


def expires(at: datetime) -> str:
    """Upload-Expires (RFC 9110 5.6.7)."""
    return format_datetime(at.astimezone(UTC), usegmt=True)


def encoded(text: str) -> str:
    """A value of Upload-Metadata."""
    return base64.b64encode(text.encode()).decode()
