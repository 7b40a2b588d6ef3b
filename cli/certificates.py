"""`footlight certificate`: has an authority certify this installation's name, and renews in time (ACME, RFC 8555).

The authority asks for a file at port 80 of the name (http-01, 8.3), which the edge serves from a folder. What it
certifies is written beside it; whoever uses the certificate sees the files change (cli/renewal.py).
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import requests
from acme import challenges, client, errors, messages
from acme.crypto_util import make_csr
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from core import logs
from core.settings import Settings

log = logs.logger(__name__)

# An authority may take its time with what it asks of us.
PATIENCE = timedelta(minutes=3)
LOOK_EVERY_S = 12 * 3600.0
# After a failure, twice as long each time: authorities count failures, and refuse who fails often.
RETRY_S, LONGEST_RETRY_S = 600.0, 6 * 3600.0
PLACEHOLDER_LIFE = timedelta(days=7)
Failures = (errors.Error, messages.Error, requests.RequestException, OSError, ValueError)


def name_of(settings: Settings) -> str:
    """The name to be certified: that of the public URL."""
    return urlsplit(settings.public_url).hostname or "localhost"


def ensure_some(settings: Settings) -> None:
    """A certificate of our own making where there is none yet, so that the edge can start and be asked."""
    chain, key = settings.certificate
    if not settings.acme_directory or (chain.exists() and key.exists()):
        return
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name_of(settings))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + PLACEHOLDER_LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(name_of(settings))]), False)
        .sign(private, SHA256())
    )
    _keep(chain, key, made.public_bytes(Encoding.PEM), _pem(private))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def is_due(chain: bytes, now: datetime) -> bool:
    """Whether a certificate is one of our own making, or in the last third of its life."""
    certificate = x509.load_pem_x509_certificate(chain)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    own = certificate.issuer == certificate.subject
    return own or now > ends - (ends - begins) / 3


class Authority:
    """An ACME server, and the account that we have there."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.certificate[0].parent
        self._challenges = settings.acme_challenges or folder / "challenges"
        self._challenges.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._jwk = JWKEC(key=_account_key(folder / "account.pem"))
        trusted = str(settings.acme_ca_file) if settings.acme_ca_file else True
        net = client.ClientNetwork(
            self._jwk,
            alg=ES256,
            # A path is taken as well: it is handed to requests.
            verify_ssl=trusted,  # type: ignore[arg-type]
            user_agent="footlight",
        )
        self._client = client.ClientV2(
            client.ClientV2.get_directory(settings.acme_directory, net), net
        )
        self._log_in(settings.acme_email or None)

    def _log_in(self, email: str | None) -> None:
        wanted = messages.NewRegistration.from_data(email=email, terms_of_service_agreed=True)
        try:
            self._client.new_account(wanted)
        except errors.ConflictError as known:
            # The account of this key (7.3.1).
            account = messages.RegistrationResource(
                uri=known.location, body=messages.Registration()
            )
            self._client.net.account = self._client.query_registration(account)

    def certify(self, name: str) -> tuple[bytes, bytes]:
        """A new certificate's chain and key. Raises what `Failures` names."""
        private = ec.generate_private_key(ec.SECP256R1())
        request = make_csr(_pem(private), domains=[name])
        order = self._client.new_order(request)
        shown: list[Path] = []
        try:
            for authorization in order.authorizations:
                shown += self._answer(authorization)
            done = self._client.poll_and_finalize(order, datetime.now() + PATIENCE)
        finally:
            for path in shown:
                path.unlink(missing_ok=True)
        return done.fullchain_pem.encode(), _pem(private)

    def _answer(self, authorization: messages.AuthorizationResource) -> list[Path]:
        if authorization.body.status == messages.STATUS_VALID:
            return []
        for challenge in authorization.body.challenges:
            if isinstance(challenge.chall, challenges.HTTP01):
                response, validation = challenge.response_and_validation(self._jwk)
                path = self._challenges / challenge.chall.encode("token")
                path.write_text(validation)
                path.chmod(0o644)
                self._client.answer_challenge(challenge, response)
                return [path]
        raise ValueError("the authority offers no http-01 for this name")


def _account_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, _pem(ec.generate_private_key(ec.SECP256R1())))
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds no key of an elliptic curve")
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _keep(chain: Path, key: Path, chain_pem: bytes, key_pem: bytes) -> None:
    chain.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(key, key_pem)
    _write(chain, chain_pem)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for its owner only."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def renew(settings: Settings) -> bool:
    """Have a new certificate made if it is time: whether it was. Raises what `Failures` names."""
    ensure_some(settings)
    chain, key = settings.certificate
    if not is_due(chain.read_bytes(), datetime.now(UTC)):
        return False
    name = name_of(settings)
    _keep(chain, key, *Authority(settings).certify(name))
    log.info("certificate_renewed", name=name)
    return True


def keep_renewing(settings: Settings, pause: Callable[[float], None] = time.sleep) -> None:
    """For ever. A failure is logged and tried again, later each time."""
    retry_s = RETRY_S
    while True:
        try:
            renew(settings)
        except Failures as error:
            log.error("certificate_not_renewed", error=str(error), retry_s=retry_s)
            pause(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)
        else:
            retry_s = RETRY_S
            pause(LOOK_EVERY_S)


def main(arguments: argparse.Namespace) -> int:
    """Renew once, or for ever."""
    settings = Settings.model_validate({"secret_key": "-" * 32})
    if not settings.acme_directory:
        print("footlight: FOOTLIGHT_ACME_DIRECTORY names no authority.", file=sys.stderr)
        return 1
    logs.configure("certificate", settings.log_level)
    if not arguments.once:
        keep_renewing(settings)
    try:
        renewed = renew(settings)
    except Failures as error:
        print(f"footlight: the certificate was not renewed: {error}", file=sys.stderr)
        return 1
    print("The certificate was renewed." if renewed else "The certificate is not due yet.")
    return 0
