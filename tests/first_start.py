"""What a first start makes that is always the same - a database with its schema, a bucket, an administrator - made
once for all workers of a run, and copied: each instance that a test starts would spend seconds of a core on it.

Only where several workers share it: alone it costs more than it saves.
"""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Callable
from pathlib import Path

#: Of a stopped instance. All else, such as its keys, each instance makes for itself.
COPIED = ("footlight-data", "postgres", "release.json", "s3", "secrets/admin_password")
PREPARED = "prepared"


class FirstStart:
    """`folder`: where what was made is kept for the workers; None as long as there is no such place.
    `make`: starts an instance with that data folder, and stops it.
    """

    def __init__(self, make: Callable[[Path], None]) -> None:
        self.folder: Path | None = None
        self._make = make

    def give_to(self, data: Path) -> None:
        """Have a data folder that does not exist begin as after its first start."""
        if self.folder is None or data.exists():
            return
        made = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (made / PREPARED).exists():
                self._make(made)
        (data / "secrets").mkdir(parents=True, mode=0o700)
        data.chmod(0o700)
        for name in COPIED:
            subprocess.run(["cp", "-a", made / name, data / name], check=True)
        # It names its database by the number of the folder (cli/up.py), and the copy has another.
        schema, _, bucket = (made / PREPARED).read_text().split()
        number = (data / "postgres").stat().st_ino
        (data / PREPARED).write_text(f"{schema} {number} {bucket}\n")
