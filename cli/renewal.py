"""Has an nginx load its certificate again whenever the files change.

A reload drops nothing: connections that are there stay with the worker that has them (nginx-rtmp/*.template).
`python -m cli.renewal PID FILE…` does it for a process that has become nginx itself; it ends with it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

LOOK_EVERY_S = 1.0
_PR_SET_PDEATHSIG = 1

Stamp = tuple[tuple[int, int, int], ...]


def stamp(files: Sequence[Path]) -> Stamp:
    """What changes when one of the files does, also where it is replaced by another."""
    found = []
    for file in files:
        try:
            state = file.stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)


def follow(
    files: Sequence[Path],
    reload: Callable[[], None],
    ended: threading.Event,
    every_s: float = LOOK_EVERY_S,
) -> None:
    """Call `reload` after each change, once the files have stayed the same for one look, until `ended`."""
    loaded = seen = stamp(files)
    while not ended.wait(every_s):
        now = stamp(files)
        # The chain and its key are written one after the other.
        if now == seen and now != loaded:
            loaded = now
            reload()
        seen = now


def beside(pid: int, files: Sequence[Path]) -> None:
    """Start a process that does so for `pid`, which is this process and becomes nginx."""
    command = [sys.executable, "-P", "-m", "cli.renewal", str(pid), *map(str, files)]
    subprocess.Popen(command, cwd=Path(__file__).parent.parent)  # noqa: S603 (our own program)


def main(arguments: Sequence[str]) -> None:
    """Follow the files for the process that started this one."""
    pid, files = int(arguments[0]), [Path(name) for name in arguments[1:]]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() == pid:
        follow(files, lambda: os.kill(pid, signal.SIGHUP), threading.Event())


if __name__ == "__main__":
    main(sys.argv[1:])
