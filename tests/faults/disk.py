"""A small disk that only an instance sees, made without root: a tmpfs in a mount namespace of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.stage import Stage

SIZE = "64m"
_ENTER = ("unshare", "--user", "--map-current-user", "--keep-caps", "--mount")
#: Mount it on the first argument, and become the rest of them without the right to do so again.
_SCRIPT = (
    f'mount -t tmpfs -o size={SIZE},mode=700 tmpfs "$0"'
    ' && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
)


def mounting(folder: Path) -> tuple[str, ...]:
    """The command that runs another one with a small disk on `folder`; nothing where the kernel keeps user
    namespaces from us.
    """
    folder.mkdir()
    command = (*_ENTER, "sh", "-c", _SCRIPT, str(folder))
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        return ()
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if tried.returncode == 0 else ()


def small_disk(stage: Stage) -> Path | None:
    """The shared instance's small disk as we can reach it; None when it has none."""
    folder = Path(f"/proc/{stage.instance.process.pid}/root") / str(
        stage.instance.data.with_name("small")
    ).lstrip("/")
    return folder if os.path.ismount(folder) else None


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte fits on it during the block."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            # The last bytes one by one: a page that is begun can be filled.
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(_Full):
                    while True:
                        _write(file.fileno(), size)
        yield
    finally:
        filler.unlink()


class _Full(Exception):
    """There is no room."""


def _write(descriptor: int, size: int) -> None:
    try:
        os.write(descriptor, bytes(size))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _Full from error
