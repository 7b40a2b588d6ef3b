"""Access tokens: EdDSA (Ed25519) JSON web tokens after RFC 9068, signed with keys that rotate.

Keys live in the database, the private half encrypted (AES-256-GCM) under the master secret. The
newest one signs. An older one verifies until the last token that it signed is over.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import Database
from core.db.models import SigningKey
from core.derived import Purpose, derive
from core.errors import Unauthorized
from core.settings import Settings

ALGORITHM = "EdDSA"
AUDIENCE = "footlight"
TYPE = "at+jwt"
# Clocks of our machines may differ by this much.
LEEWAY_S = 60
# A process learns of a rotation after at most this long and signs with the old key until then.
RELOAD_S = 60.0
# An unknown kid makes it look at once, but not more often than this: kids are the sender's to
# invent.
RELOAD_MIN_S = 2.0
_NONCE_BYTES = 12
_ADVISORY_LOCK = 0x0F007_70CE


@dataclass(frozen=True)
class AccessToken:
    """What a valid access token says."""

    user_id: int
    login_id: int
    expires_at: datetime


@dataclass(frozen=True, repr=False)
class _Keys:
    """The keys as they were at `loaded_at` (monotonic seconds)."""

    loaded_at: float
    signing_kid: str
    signing: Ed25519PrivateKey
    verifying: dict[str, tuple[Ed25519PublicKey, datetime | None]]


class Tokens:
    """Issues and verifies access tokens for one process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._encryption_key = derive(settings, Purpose.SIGNING_KEY_ENCRYPTION)
        self._ttl = timedelta(seconds=settings.access_token_s)
        self._key_age = timedelta(days=settings.signing_key_days)
        self._keys: _Keys | None = None
        self._loading = asyncio.Lock()

    async def issue(self, user_id: int, login_id: int) -> tuple[str, int]:
        """A new token and its life in seconds."""
        keys = await self._current()
        now = datetime.now(UTC)
        claims = {
            "iss": AUDIENCE,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "sid": str(login_id),
            "iat": now,
            "exp": now + self._ttl,
        }
        headers = {"kid": keys.signing_kid, "typ": TYPE}
        return jwt.encode(claims, keys.signing, ALGORITHM, headers), int(self._ttl.total_seconds())

    async def verify(self, token: str) -> AccessToken:
        """What `token` says. Raises Unauthorized (`invalid_token`, or `token_expired`),
        Unavailable.

        Does not ask whether the login still stands: whoever holds the database does that.
        """
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError) as error:
            raise _invalid() from error
        kid = header.get("kid")
        if header.get("typ") != TYPE or header.get("alg") != ALGORITHM or not isinstance(kid, str):
            raise _invalid()
        public = await self._public_key(kid)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                public,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=AUDIENCE,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "aud", "iss", "sub", "sid"]},
            )
            return AccessToken(
                int(claims["sub"]), int(claims["sid"]), datetime.fromtimestamp(claims["exp"], UTC)
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("The access token is over.", code="token_expired") from error
        except (jwt.InvalidTokenError, ValueError, OverflowError) as error:
            raise _invalid() from error

    async def _public_key(self, kid: str) -> Ed25519PublicKey:
        keys = await self._current()
        if kid not in keys.verifying and time.monotonic() - keys.loaded_at > RELOAD_MIN_S:
            keys = await self._load(keys)
        public, until = keys.verifying.get(kid, (None, None))
        if public is None or (until is not None and datetime.now(UTC) > until):
            raise _invalid()
        return public

    async def _current(self) -> _Keys:
        keys = self._keys
        if keys is None or time.monotonic() - keys.loaded_at > RELOAD_S:
            keys = await self._load(keys)
        return keys

    async def _load(self, seen: _Keys | None) -> _Keys:
        async with self._loading:
            if self._keys is not None and self._keys is not seen:
                return self._keys
            async with self._database.session() as session:
                rows = await _ensure_fresh(session, self._encryption_key, self._ttl, self._key_age)
            signing = next(row for row in rows if row.verify_until is None)
            self._keys = _Keys(
                loaded_at=time.monotonic(),
                signing_kid=signing.kid,
                signing=_decrypt(signing, self._encryption_key),
                verifying={
                    row.kid: (Ed25519PublicKey.from_public_bytes(row.public_key), row.verify_until)
                    for row in rows
                },
            )
            return self._keys


async def rotate(session: AsyncSession, settings: Settings) -> str:
    """Make a new signing key, in the caller's transaction: its kid.

    Tokens of older keys live out their time.
    """
    ttl = timedelta(seconds=settings.access_token_s)
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    return await _rotate(session, derive(settings, Purpose.SIGNING_KEY_ENCRYPTION), ttl)


async def _rotate(session: AsyncSession, encryption_key: bytes, ttl: timedelta) -> str:
    # Other processes sign with the old key until they look again, and its last tokens are accepted
    # with leeway.
    until = datetime.now(UTC) + ttl + timedelta(seconds=2 * RELOAD_S + LEEWAY_S)
    await session.execute(
        update(SigningKey).where(SigningKey.verify_until.is_(None)).values(verify_until=until)
    )
    await session.execute(delete(SigningKey).where(SigningKey.verify_until < func.now()))
    private = Ed25519PrivateKey.generate()
    kid = secrets.token_urlsafe(9)
    nonce = os.urandom(_NONCE_BYTES)
    raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    session.add(
        SigningKey(
            kid=kid,
            public_key=private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
            # The kid is bound in: a private key cannot be moved to another row.
            private_key=nonce + AESGCM(encryption_key).encrypt(nonce, raw, kid.encode()),
        )
    )
    await session.flush()
    return kid


async def _ensure_fresh(
    session: AsyncSession, encryption_key: bytes, ttl: timedelta, key_age: timedelta
) -> list[SigningKey]:
    """All keys, newest first, after making one where none is there that may sign."""
    newest = select(SigningKey).order_by(SigningKey.created_at.desc())
    rows = list((await session.scalars(newest)).all())
    if _may_sign(rows, key_age):
        return rows
    # One process makes it; the others find it made when they have waited.
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    rows = list((await session.scalars(newest)).all())
    if not _may_sign(rows, key_age):
        await _rotate(session, encryption_key, ttl)
        rows = list((await session.scalars(newest.execution_options(populate_existing=True))).all())
    return rows


def _may_sign(rows: list[SigningKey], key_age: timedelta) -> bool:
    return any(
        row.verify_until is None and datetime.now(UTC) - row.created_at < key_age for row in rows
    )


def _decrypt(row: SigningKey, encryption_key: bytes) -> Ed25519PrivateKey:
    nonce, sealed = row.private_key[:_NONCE_BYTES], row.private_key[_NONCE_BYTES:]
    try:
        raw = AESGCM(encryption_key).decrypt(nonce, sealed, row.kid.encode())
    except InvalidTag as error:
        raise RuntimeError(
            "The signing keys in the database were made under another FOOTLIGHT_SECRET_KEY. "
            "Set the one that belongs to this database, or delete the rows of signing_keys."
        ) from error
    return Ed25519PrivateKey.from_private_bytes(raw)


def _invalid() -> Unauthorized:
    return Unauthorized("The access token is not valid.", code="invalid_token")
