"""The age file format with a passphrase (https://age-encryption.org/v1), over bytes alone.

What is written here `age --decrypt` and every other implementation opens, so that a backup is not lost
with the program that made it. The payload is sealed in chunks: nothing has to be held as a whole, a
change of any byte is noticed, and so is an end that comes too early.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC = b"age-encryption.org/v1\n"
_LABEL = b"age-encryption.org/v1/scrypt"
#: Logarithm of scrypt's cost: 128 MiB of memory and some 0.4 s for every guess.
WORK = 17
#: What we bear when reading: 1 GiB; more would be asked for by somebody who means harm.
MOST_WORK = 20
CHUNK = 64 * 1024
_TAG = 16
#: Longer than any header with one passphrase.
_HEADER_BYTES = 1024


class NotOpened(Exception):
    """The passphrase is wrong, or what was read is not what was written."""


class Sealer:
    """Turns plain bytes into an age file: `begin()`, `seal()` again and again, `end()`."""

    def __init__(self, passphrase: str, *, work: int = WORK) -> None:
        file_key = secrets.token_bytes(16)
        salt = secrets.token_bytes(16)
        body = _sealing(_wrapping_key(passphrase, salt, work)).encrypt(bytes(12), file_key, None)
        header = b"%s-> scrypt %s %d\n%s\n---" % (MAGIC, _b64(salt), work, _b64(body))
        nonce = secrets.token_bytes(16)
        self._begin = b"%s %s\n%s" % (header, _b64(_mac(file_key, header)), nonce)
        self._chunks = _Chunks(file_key, nonce)
        self._waiting = bytearray()

    def begin(self) -> bytes:
        """What comes first."""
        return self._begin

    def seal(self, data: bytes | memoryview) -> bytes:
        """What `data` adds to the file; less than a chunk waits for more."""
        self._waiting += data
        sealed = bytearray()
        # The last chunk is marked as such, so a full one waits until there is more.
        while len(self._waiting) > CHUNK:
            sealed += self._chunks.seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return bytes(sealed)

    def end(self) -> bytes:
        """What comes last."""
        return self._chunks.seal(bytes(self._waiting), last=True)


class Opener:
    """Turns an age file into plain bytes: `open()` again and again, `end()`. Raises NotOpened."""

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase
        self._waiting = bytearray()
        self._chunks: _Chunks | None = None

    def open(self, data: bytes) -> bytes:
        """The plain bytes that `data` brings."""
        self._waiting += data
        if self._chunks is None:
            self._chunks = self._header()
            if self._chunks is None:
                return b""
        plain = bytearray()
        while len(self._waiting) > CHUNK + _TAG:
            plain += self._chunks.open(bytes(self._waiting[: CHUNK + _TAG]), last=False)
            del self._waiting[: CHUNK + _TAG]
        return bytes(plain)

    def end(self) -> bytes:
        """The last of the plain bytes."""
        if self._chunks is None:
            raise NotOpened("It ends before its beginning is over.")
        return self._chunks.open(bytes(self._waiting), last=True)

    def _header(self) -> _Chunks | None:
        """The keys, once all of the header is there."""
        end = self._waiting.find(b"\n--- ")
        line = self._waiting.find(b"\n", end + 1) if end >= 0 else -1
        if line < 0 or len(self._waiting) < line + 17:
            if len(self._waiting) > _HEADER_BYTES + CHUNK:
                raise NotOpened("It is not encrypted with a passphrase.")
            return None
        header = bytes(self._waiting[:line])
        nonce = bytes(self._waiting[line + 1 : line + 17])
        del self._waiting[: line + 17]
        return _Chunks(_file_key(header, self._passphrase), nonce)


class _Chunks:
    """The payload's STREAM: a counter and a mark for the last chunk are each chunk's nonce."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = _sealing(_derived(file_key, nonce, b"payload"))
        self._count = 0

    def _nonce(self, last: bool) -> bytes:
        self._count += 1
        return (self._count - 1).to_bytes(11, "big") + (b"\x01" if last else b"\x00")

    def seal(self, chunk: bytes, *, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last), chunk, None)

    def open(self, chunk: bytes, *, last: bool) -> bytes:
        nonce = self._nonce(last)
        try:
            plain = self._cipher.decrypt(nonce, chunk, None)
        except InvalidTag as error:
            raise NotOpened("It is damaged, or not all of it is there.") from error
        if last and not plain and self._count > 1:
            raise NotOpened("It is damaged: its end is empty.")
        return plain


def _file_key(header: bytes, passphrase: str) -> bytes:
    signed, _, mac = header.rpartition(b" ")
    lines = signed.split(b"\n")
    words = lines[1].split(b" ") if len(lines) == 4 else []
    if lines[0] + b"\n" != MAGIC or words[:2] != [b"->", b"scrypt"] or len(words) != 4:
        raise NotOpened("It is not encrypted with a passphrase.")
    try:
        salt, work, body = _from_b64(words[2]), int(words[3]), _from_b64(lines[2])
        given = _from_b64(mac)
    except ValueError as error:
        raise NotOpened("Its header is damaged.") from error
    if not 0 < work <= MOST_WORK:
        raise NotOpened("Trying a passphrase would cost too much.")
    try:
        cipher = _sealing(_wrapping_key(passphrase, salt, work))
        file_key = cipher.decrypt(bytes(12), body, None)
    except InvalidTag as error:
        raise NotOpened("The passphrase is wrong.") from error
    if not hmac.compare_digest(_mac(file_key, signed), given):
        raise NotOpened("Its header is damaged.")
    return file_key


def _wrapping_key(passphrase: str, salt: bytes, work: int) -> bytes:
    return Scrypt(salt=_LABEL + salt, length=32, n=1 << work, r=8, p=1).derive(passphrase.encode())


def _derived(file_key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=purpose).derive(file_key)


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, b"", b"header"), header, hashlib.sha256)


def _sealing(key: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(key)


def _b64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _from_b64(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
