"""AMF0 as far as onMetaData needs it (Adobe AMF 0 specification), with hard limits."""

from __future__ import annotations

import struct

MAX_BYTES = 64 * 1024
MAX_DEPTH = 4
MAX_PROPERTIES = 256

Value = float | bool | str | None | dict[str, "Value"] | list["Value"]

_NUMBER = struct.Struct(">d")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._properties = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise ValueError("AMF0 ends early")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def text(self, length_size: int) -> str:
        size = int.from_bytes(self.take(length_size), "big")
        return self.take(size).decode("utf-8", "replace")

    def count_property(self) -> None:
        self._properties += 1
        if self._properties > MAX_PROPERTIES:
            raise ValueError("AMF0 with too many properties")

    def properties(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while True:
            name = self.text(2)
            kind = self.take(1)[0]
            if kind == 9:
                return found
            self.count_property()
            found[name] = self.value_of(kind, depth)

    def value(self, depth: int) -> Value:
        return self.value_of(self.take(1)[0], depth)

    def value_of(self, kind: int, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise ValueError("AMF0 nested too deep")
        if kind == 0:
            return float(_NUMBER.unpack(self.take(8))[0])
        if kind == 1:
            return self.take(1) != b"\x00"
        if kind in (2, 12):
            return self.text(2 if kind == 2 else 4)
        if kind in (5, 6):
            return None
        if kind in (3, 8):
            if kind == 8:
                self.take(4)
            return self.properties(depth + 1)
        if kind == 10:
            return self._strict_array(depth + 1)
        if kind == 11:
            return float(_NUMBER.unpack(self.take(10)[:8])[0])
        raise ValueError(f"AMF0 type {kind} is not supported")

    def _strict_array(self, depth: int) -> Value:
        items: list[Value] = []
        for _ in range(int.from_bytes(self.take(4), "big")):
            self.count_property()
            items.append(self.value(depth))
        return items


def parse_metadata(data: bytes) -> dict[str, Value]:
    """The properties of an onMetaData script tag, {} for any other script tag.

    Raises ValueError when it is malformed or past the limits above.
    """
    if len(data) > MAX_BYTES:
        raise ValueError("script data is too large")
    reader = _Reader(data)
    name = reader.value(0)
    if name == "@setDataFrame":
        name = reader.value(0)
    if name != "onMetaData":
        return {}
    value = reader.value(0)
    return value if isinstance(value, dict) else {}
