"""The archive: a tar file like any other, of which a reader notices every change."""

from __future__ import annotations

import io
import tarfile

import pytest

from cli.archive import ArchiveWriter, BadArchive, members

FILES = {
    "backup.json": b"{}",
    "database/000001": bytes(range(256)) * 300,
    "objects/" + "a" * 300 + "/ä.m4s": b"x" * 511,
    "objects/empty": b"",
    "objects/last": b"y" * 512,
}


class Bytes:
    """A source and a sink in memory; reads give `at_once` bytes at most."""

    def __init__(self, data: bytes = b"", at_once: int = 1 << 20) -> None:
        self.data = bytearray(data)
        self.at_once = at_once

    async def write(self, data: bytes) -> None:
        self.data += data

    async def read(self, most: int) -> bytes:
        count = min(most, self.at_once)
        piece = bytes(self.data[:count])
        del self.data[:count]
        return piece


async def written(files: dict[str, bytes]) -> bytes:
    sink = Bytes()
    with ArchiveWriter(sink) as writer:
        for name, data in files.items():
            await writer.begin(name, len(data))
            for at in range(0, len(data), 1000):
                await writer.write(data[at : at + 1000])
        await writer.finish()
    return bytes(sink.data)


async def read(data: bytes, at_once: int = 1 << 20) -> dict[str, bytes]:
    return {member.name: await member.whole() async for member in members(Bytes(data, at_once))}


@pytest.mark.parametrize("at_once", (1 << 20, 100))
async def test_what_is_written_is_read(at_once: int) -> None:
    assert await read(await written(FILES), at_once) == FILES


async def test_members_may_be_passed_by() -> None:
    assert [member.name async for member in members(Bytes(await written(FILES)))] == list(FILES)


async def test_tar_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(await written(FILES))) as tar:
        assert tar.getnames() == [*FILES, "SHA256SUMS"]
        assert {info.mode for info in tar} == {0o600}


async def test_every_change_is_noticed() -> None:
    whole = await written(FILES)
    places = (513, whole.index(b"x" * 511) + 7, whole.index(b"SHA256SUMS") + 512 + 3)
    for at in places:
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(BadArchive):
            await read(bytes(changed))


async def test_an_early_end_is_noticed() -> None:
    whole = await written(FILES)
    for kept in (0, 100, 512, 3000, whole.index(b"SHA256SUMS"), whole.index(b"SHA256SUMS") + 600):
        with pytest.raises(BadArchive):
            await read(whole[:kept])


async def test_a_missing_file_is_noticed() -> None:
    whole, start = await written(FILES), 0
    # Without its last object: header and one block.
    start = whole.index(b"objects/last")
    with pytest.raises(BadArchive, match="objects/last"):
        await read(whole[:start] + whole[start + 1024 :])


async def test_announced_sizes_are_kept() -> None:
    with ArchiveWriter(Bytes()) as writer:
        await writer.begin("objects/one", 10)
        with pytest.raises(ValueError, match="more than"):
            await writer.write(b"x" * 11)
        with pytest.raises(ValueError, match="lacks"):
            await writer.finish()


async def test_only_plain_files_are_read() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        link = tarfile.TarInfo("objects/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(BadArchive, match="no plain file"):
        await read(target.getvalue())
