"""The headers of tus, read."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.uploads.tus import checksum, encoded, expires, file_name, metadata, number
from api.uploads.uploads import title_of
from core.errors import DomainError, Invalid, Malformed

LETTERS = "aZ0 ,;=/+\n\0é漢😀"


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "9" * 16, "١"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(Malformed):
        number({"Upload-Length": text}, "Upload-Length")


def test_a_number() -> None:
    assert number({"Upload-Length": "123"}, "Upload-Length") == 123


@given(st.dictionaries(st.text("abc_", min_size=1), st.text(LETTERS, min_size=1)))
def test_metadata_comes_back(values: dict[str, str]) -> None:
    header = ", ".join(f"{name} {encoded(value)}" for name, value in values.items())
    assert metadata({"Upload-Metadata": header}) == values


def test_a_name_without_a_value() -> None:
    assert metadata({"Upload-Metadata": "is_private,title VQ=="}) == {
        "is_private": "",
        "title": "U",
    }


@given(st.text(LETTERS + "VQ==", max_size=60))
def test_whatever_the_metadata_is_it_is_read_or_refused(text: str) -> None:
    try:
        metadata({"Upload-Metadata": text})
    except DomainError:
        pass


@given(st.text(LETTERS + "\0\x1b\u202e\ud7ff"))
def test_a_file_s_name_can_be_shown(text: str) -> None:
    name = file_name({"filename": text})
    assert name.isprintable() and len(name) <= 200
    assert len(title_of(name)) <= 140


def test_the_same_name_twice() -> None:
    with pytest.raises(Invalid):
        metadata({"Upload-Metadata": "a VQ==,a VQ=="})


def test_a_checksum() -> None:
    value = hashlib.sha256(b"abc").digest()
    found = checksum({"Upload-Checksum": f"sha256 {base64.b64encode(value).decode()}"})
    assert found is not None
    assert not found.good
    found.add(b"abc")
    assert found.good


@pytest.mark.parametrize("text", ["crc32 AAAA", "sha1", "sha1 ***", ""])
def test_a_checksum_that_cannot_be_checked(text: str) -> None:
    header = {"Upload-Checksum": text}
    if text == "sha1":
        found = checksum(header)
        assert found is not None and not found.good
        return
    with pytest.raises(Malformed):
        checksum(header)


def test_a_date() -> None:
    at = datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert expires(at) == "Wed, 03 Feb 2027 04:05:06 GMT"
