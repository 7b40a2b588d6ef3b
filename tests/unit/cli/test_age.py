"""The age format: what is sealed opens again, here and elsewhere, and nothing else does."""

from __future__ import annotations

import base64
import itertools

import pytest

from cli.age import CHUNK, NotOpened, Opener, Sealer

PASSPHRASE = "correct horse battery staple"
RAGE = (
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBBVGRJRi9zUTA2NzlJbU9xWVZiVFNBIDE5Cm1SdXM2dnk5Q0"
    "02REhEKytvNnRxdXpIbXl1YlhwVTB0MmN2Q2RVQWozKzAKLS0tIEpQNE82OXZpcmthek1FandHeGpjTDB1dW95b0wv"
    "c0lHTjJPOEhuaXExV1kKhkZRtNNzYj6v5VLYLSPaXQDL2A/rzil9tCwAacCOGQ+QU8TfUVk1eEd2QPy0Se3L0g58h7"
    "ivP4U="
)
# Cheap: what a guess costs is not what is tested.
WORK = 4


def sealed(plain: bytes, pieces: int = 50_000) -> bytes:
    sealer = Sealer(PASSPHRASE, work=WORK)
    cut = [plain[at : at + pieces] for at in range(0, len(plain), pieces)]
    return sealer.begin() + b"".join(map(sealer.seal, cut)) + sealer.end()


def opened(data: bytes, passphrase: str = PASSPHRASE, pieces: int = 7777) -> bytes:
    opener = Opener(passphrase)
    cut = [data[at : at + pieces] for at in range(0, len(data), pieces)]
    return b"".join(map(opener.open, cut)) + opener.end()


@pytest.mark.parametrize("size", (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 200_001))
def test_what_is_sealed_opens_again(size: int) -> None:
    plain = bytes(itertools.islice(itertools.cycle(range(251)), size))
    assert opened(sealed(plain)) == plain
    assert opened(sealed(plain), pieces=1 << 20) == plain


def test_another_implementations_file_opens() -> None:
    # Of pyrage 1.4, which opens ours as well.
    assert opened(base64.b64decode(RAGE)) == b"a backup of another age\n"


def test_a_wrong_passphrase_and_every_damage_are_noticed() -> None:
    whole = sealed(b"x" * (CHUNK + 100))
    with pytest.raises(NotOpened, match="passphrase is wrong"):
        opened(whole, "another")
    for at in (30, 60, 120, 170, 200, CHUNK, len(whole) - 1):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(NotOpened):
            opened(bytes(changed))


def test_an_early_end_is_noticed() -> None:
    whole = sealed(b"x" * (3 * CHUNK))
    header = whole.index(b"\n--- ") + 65
    for kept in (10, header - 20, header, header + CHUNK + 16, header + 2 * (CHUNK + 16)):
        with pytest.raises(NotOpened):
            opened(whole[:kept])


def test_costly_and_foreign_headers_are_refused() -> None:
    costly = sealed(b"").replace(b" 4\n", b" 30\n", 1)
    with pytest.raises(NotOpened, match="cost too much"):
        opened(costly)
    with pytest.raises(NotOpened, match="not encrypted with a passphrase"):
        opened(sealed(b"").replace(b"-> scrypt", b"-> X25519", 1))
    with pytest.raises(NotOpened, match="not encrypted with a passphrase"):
        opened(b"age-encryption.org/v1\n" + b"x" * 100_000)
