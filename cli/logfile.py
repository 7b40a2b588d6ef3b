"""A process's log file: bytes in, rotated by size, with the last lines kept at hand for messages."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import BinaryIO


class LogFile:
    """Appends to `path`; past `limit` bytes the file becomes `path.1`, `path.1` becomes `path.2`
    and so on.

    `keep` old files are kept. Writes go to the page cache and are not synced: a log may lose its
    last line in a power cut, the instance may not wait for a disk.
    """

    def __init__(self, path: Path, limit: int = 10 << 20, keep: int = 3) -> None:
        self.path = path
        self.tail: deque[str] = deque(maxlen=30)
        self._limit = limit
        self._keep = keep
        self._partial = b""
        self._file: BinaryIO = self._open()

    def _open(self) -> BinaryIO:
        file = self.path.open("ab", buffering=0)
        self.path.chmod(0o600)
        return file

    def write(self, data: bytes) -> None:
        """Append `data`, which may be any piece of the process's output."""
        if self._file.tell() + len(data) > self._limit and self._file.tell() > 0:
            self._rotate()
        self._file.write(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        # A program that prints no newline at all may not grow our memory.
        self._partial = self._partial[-4096:]
        self.tail.extend(line.decode(errors="replace") for line in lines if line.strip())

    def close(self) -> None:
        """Close the file. Writing afterwards is an error."""
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.rename(self._numbered(number + 1))
        self.path.rename(self._numbered(1))
        self._file = self._open()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
