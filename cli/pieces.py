"""What the pieces of the toolchain have in common: how they are run, told of, and known to be whole. Standard
library only.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HEARTBEAT_S = 5.0


class SetupFailed(Exception):
    """What is needed cannot be fetched or built; the message tells the user what to do."""


class Progress:
    """Lines for the user, from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def line(self, piece: str, event: str) -> None:
        with self._lock:
            print(f"  {piece:<16} {event}", flush=True)

    def plain(self, text: str) -> None:
        with self._lock:
            print(text, flush=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @contextlib.contextmanager
    def heartbeat(self, piece: str, event: str) -> Iterator[None]:
        """`event` now, and a sign of life every few seconds until the work is done."""
        done = threading.Event()
        began = time.monotonic()
        self.line(piece, event)

        def beat() -> None:
            while not done.wait(HEARTBEAT_S):
                self.line(piece, f"still {event} ({time.monotonic() - began:.0f} s)")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def run(title: str, argv: Sequence[str], environment: dict[str, str], cwd: Path) -> None:
    """Run a program to its end. Raises SetupFailed with what it said first and last."""
    result = subprocess.run(  # noqa: S603
        # Ends with us, should we be killed.
        ["setpriv", "--pdeathsig", "TERM", "--", *argv],  # noqa: S607
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        lines = "\n".join(f"    {line}" for line in _ends(result.stdout.strip().splitlines()))
        raise SetupFailed(
            f"{title}: {Path(argv[0]).name} failed with status {result.returncode}.\n{lines}"
        )


def _ends(lines: list[str]) -> list[str]:
    """npm gives the reason first and its usage after it, pip the reason last."""
    return lines if len(lines) <= 30 else [*lines[:10], "…", *lines[-20:]]


def complete(folder: Path) -> bool:
    """Whether a piece is there, whole."""
    return (folder / ".complete").exists()


def completed(folder: Path) -> None:
    """A piece is whole."""
    (folder / ".complete").touch()
