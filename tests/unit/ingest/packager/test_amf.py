"""onMetaData within limits."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.packager import amf

NAME = b"\x02\x00\x0aonMetaData"


def text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def number(value: float) -> bytes:
    return b"\x00" + struct.pack(">d", value)


def record(*pairs: tuple[str, bytes]) -> bytes:
    return b"\x03" + b"".join(text(name) + value for name, value in pairs) + b"\x00\x00\x09"


def test_every_type() -> None:
    data = NAME + record(
        ("number", number(29.97)), ("yes", b"\x01\x01"), ("text", b"\x02" + text("OBS")),
        ("long", b"\x0c\x00\x00\x00\x02ab"), ("none", b"\x05"), ("undefined", b"\x06"),
        ("list", b"\x0a\x00\x00\x00\x02" + number(1) + number(2)),
        ("date", b"\x0b" + struct.pack(">dH", 5, 0)),
        ("inner", record(("a", number(1)))),
        ("array", b"\x08\x00\x00\x00\x01" + text("b") + number(2) + b"\x00\x00\x09"),
    )  # fmt: skip
    assert amf.parse_metadata(data) == {
        "number": 29.97, "yes": True, "text": "OBS", "long": "ab", "none": None, "undefined": None,
        "list": [1.0, 2.0], "date": 5.0, "inner": {"a": 1.0}, "array": {"b": 2.0},
    }  # fmt: skip


def test_set_data_frame_comes_before() -> None:
    assert amf.parse_metadata(b"\x02" + text("@setDataFrame") + NAME + record()) == {}


@pytest.mark.parametrize(
    "data",
    [
        bytes(amf.MAX_BYTES + 1),
        NAME + record(*((f"n{n}", b"\x05") for n in range(amf.MAX_PROPERTIES + 1))),
        NAME + b"\x03\x00\x01a" * (amf.MAX_DEPTH + 2),
        NAME + b"\x0a\xff\xff\xff\xff" + b"\x05" * 1000,
        NAME + b"\x03\x00\x01a\x0d",
        NAME + b"\x00\x01",
        b"",
    ],
)
def test_past_a_limit_or_malformed(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"AMF0|script data"):
        amf.parse_metadata(data)


@given(st.binary(max_size=400))
def test_noise_is_a_value_error_or_a_value(noise: bytes) -> None:
    try:
        amf.parse_metadata(NAME + noise)
    except ValueError:
        pass
