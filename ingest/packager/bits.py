"""Big-endian bit reader with Exp-Golomb codes, for parameter sets (ITU-T H.264 9.1, H.265 9.2)."""

from __future__ import annotations


class BitReader:
    """Reads bits from `data`, most significant first. Raises ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        # One big integer: parameter sets are tens of bytes and read once per stream.
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def u(self, count: int) -> int:
        """The next `count` bits as an unsigned integer."""
        self._left -= count
        if self._left < 0:
            raise ValueError("bitstream ends early")
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.u(1) == 1

    def ue(self) -> int:
        """ue(v): unsigned Exp-Golomb. More than 32 leading zeros is no legal code."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("Exp-Golomb code is too long")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """se(v): signed Exp-Golomb."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def unescape(nal: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (00 00 03 → 00 00)."""
    if b"\x00\x00\x03" not in nal:
        return nal
    out = bytearray()
    position = 0
    while (found := nal.find(b"\x00\x00\x03", position)) >= 0:
        out += nal[position : found + 2]
        position = found + 3
    return bytes(out + nal[position:])
