"""A picture that carries the wall clock, as a bar code that survives encoding and scaling.

Two rows of 24 blocks stand in the frame's upper left corner. Read left to right and row by row they are 48 bits:
the low 40 bits of the Unix time in milliseconds, most significant first, then an 8-bit checksum. A block is bright
for 1 and dark for 0. Block size is a fixed share of the width, so the same code is read back from any rendition.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLUMNS = 24
ROWS = 2
PAYLOAD_BITS = 40
CHECK_BITS = 8
_MASK = (1 << PAYLOAD_BITS) - 1
_BRIGHT, _DARK = 235, 16
_LOOP_FRAMES = 90

Frame = NDArray[np.uint8]


def block_size(width: int) -> int:
    """Edge of one block in pixels, for a picture ``width`` pixels wide: the code spans three quarters of it."""
    return width * 3 // 4 // COLUMNS


def encode_bits(time_ms: int) -> list[int]:
    """The 48 bits that stand for a Unix time in milliseconds."""
    payload = time_ms & _MASK
    word = (payload << CHECK_BITS) | checksum(payload)
    return [(word >> shift) & 1 for shift in range(PAYLOAD_BITS + CHECK_BITS - 1, -1, -1)]


def decode_bits(bits: Sequence[int], near_ms: int) -> int | None:
    """The time that ``bits`` carry, its high bits taken from ``near_ms``; None where the checksum does not hold."""
    word = 0
    for bit in bits:
        word = word << 1 | bit
    payload = word >> CHECK_BITS
    if word & ((1 << CHECK_BITS) - 1) != checksum(payload):
        return None
    return (near_ms & ~_MASK) | payload


def checksum(payload: int) -> int:
    """Eight bits over the payload's five bytes; not zero for an all-dark picture."""
    total = 0xA5
    for shift in range(0, PAYLOAD_BITS, 8):
        total = (total * 31 + (payload >> shift & 0xFF)) & 0xFF
    return total


@dataclass
class ClockSource:
    """Draws yuv420p frames: a textured, panning background that costs the encoder its bitrate, and the clock on it."""

    width: int
    height: int

    def __post_init__(self) -> None:
        noise = np.random.default_rng(7)
        luma = noise.integers(
            90, 160, (self.height // 8, self.width // 8 + _LOOP_FRAMES), dtype=np.uint8
        )
        self._background = np.kron(luma, np.ones((8, 8), dtype=np.uint8))
        self._grain = noise.integers(0, 12, (self.height, self.width), dtype=np.uint8)
        self._chroma = np.full(self.width * self.height // 2, 128, dtype=np.uint8).tobytes()

    def frame(self, number: int, time_ms: int) -> bytes:
        """Frame ``number`` (0, 1, …) stamped with ``time_ms``, as raw planar yuv420p bytes."""
        step = number % (2 * _LOOP_FRAMES * 2)
        offset = abs(step - 2 * _LOOP_FRAMES) * 4
        luma: Frame = self._background[: self.height, offset : offset + self.width] + np.roll(
            self._grain, number, 1
        )
        self._stamp(luma, time_ms)
        return luma.tobytes() + self._chroma

    def _stamp(self, luma: Frame, time_ms: int) -> None:
        size = block_size(self.width)
        bits = np.array(encode_bits(time_ms), dtype=np.uint8).reshape(ROWS, COLUMNS)
        code = np.kron(
            np.where(bits == 1, _BRIGHT, _DARK).astype(np.uint8),
            np.ones((size, size), dtype=np.uint8),
        )
        luma[: code.shape[0], : code.shape[1]] = code
