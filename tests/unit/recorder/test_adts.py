"""AAC with a header for every frame."""

from __future__ import annotations

import pytest

from recorder.adts import header


@pytest.mark.parametrize(
    ("config", "index", "channels"),
    [(b"\x11\x90", 3, 2), (b"\x12\x08", 4, 1), (b"\x2b\x92\x08\x00", 7, 2)],
)
def test_rate_and_channels_are_the_configuration_s(
    config: bytes, index: int, channels: int
) -> None:
    bits = header(config)
    assert bits >> 44 == 0xFFF
    assert bits >> 34 & 15 == index
    assert bits >> 30 & 7 == channels
    assert bits >> 13 & 0x1FFF == 0


@pytest.mark.parametrize("config", [b"", b"\xff\xff", b"\x11\x80"])
def test_what_adts_cannot_carry(config: bytes) -> None:
    with pytest.raises(ValueError, match="cannot carry"):
        header(config)
