"""An object storage over https: who it says it is gets checked."""

from __future__ import annotations

import datetime
import ipaddress
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from cli.instance import free_port
from cli.toolchain import Toolchain
from core.settings import Settings
from recorder.edges import grant, resolve
from tests.harness import eventually
from tests.integration.edge.nginx import running_edge
from tests.integration.edge.video_kit import Recorder

CONTENT = b"a segment" * 1000


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names[: 1 if host != "localhost" else 2]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


@contextmanager
def storage(folder: Path, files: tuple[Path, Path], settings: Settings) -> Iterator[None]:
    """rclone with TLS, and one object in it."""
    place = folder / "s3/bucket/videos/7/source"
    place.mkdir(parents=True, exist_ok=True)
    (place / "1.m4s").write_bytes(CONTENT)
    program = Toolchain.from_environment().program("rclone")
    port = settings.s3_endpoint.rsplit(":", 1)[1]
    secret = settings.s3_secret_key.get_secret_value()
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(str(program.path), "serve", "s3", "--addr", f"127.0.0.1:{port}"),
                *("--cert", str(files[0]), "--key", str(files[1]), str(folder / "s3")),
            ],
            env={
                **os.environ,
                **program.environment,
                "RCLONE_AUTH_KEY": f'"{settings.s3_access_key},{secret}"',
                "RCLONE_CONFIG": "",
            },
            stdout=log,
            stderr=log,
        )
    try:
        eventually(lambda: b"Starting" in (folder / "log").read_bytes(), what="rclone listens")
        yield
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize(
    ("host", "trusted", "status"),
    [("localhost", True, 200), ("localhost", False, 503), ("elsewhere.example", True, 503)],
)
async def test_only_a_storage_that_proves_its_name_is_asked(
    tmp_path: Path, host: str, trusted: bool, status: int
) -> None:
    files = certificate(tmp_path / "tls", host)
    others, _ = certificate(tmp_path / "others", "localhost")
    settings = Settings(
        secret_key=SecretStr("s" * 32),
        s3_endpoint=f"https://localhost:{free_port(set())}",
        s3_access_key="access",
        s3_secret_key=SecretStr("secret-key"),
        s3_bucket="bucket",
    )
    with storage(tmp_path, files, settings):
        authorities = files[0] if trusted else others
        async with running_edge(storage_ca_file=authorities) as edge:
            recorder = Recorder({"videos/7": {"state": "open", "prefix": "videos/7"}})
            await recorder.start(edge)
            addresses = [
                address
                for address in await resolve(settings.s3_endpoint)
                if address.startswith("127.")
            ]
            told = grant(settings, addresses, datetime.datetime.now(datetime.UTC).date())
            async with edge.publisher.put(
                "http://edge/storage", headers=told.headers, data=told.body
            ) as answer:
                assert answer.status == 200
            async with edge.viewer.get(f"{edge.url}/vod/7/source/1.m4s") as answer:
                assert answer.status == status
                assert (await answer.read() == CONTENT) == (status == 200)
            await recorder.stop()
