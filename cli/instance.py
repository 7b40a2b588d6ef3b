"""The data folder of one instance: where things lie in it, its lock, its generated secrets, its
ports.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
import string
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any

# A unix socket's path has room for 107 bytes; PostgreSQL's name below the run folder is the longest
# of ours.
SOCKET_PATH_BYTES = 107
LONGEST_SOCKET = ".s.PGSQL.5432.lock"
MARKER = "footlight-data"
# Media folders in /dev/shm: "footlight-" and twelve digits of a hash.
MEDIA_NAMES = "footlight-" + "[0-9a-f]" * 12
# Media of a killed instance that a next start may go on with: of the longest grace window, seconds.
MEDIA_KEPT_S = 600
# Where the launcher binds a data folder that its system user could not reach.
MOUNTS = Path("/run/footlight-data")
# Below the range from which Linux takes the ports of outgoing connections, so that a server that is
# started again finds its port free.
PRIVATE_PORTS = range(20000, 32000)


class SetupError(Exception):
    """Something outside stands in the way of starting; the message tells the user what to do."""


@dataclass(frozen=True)
class Layout:
    """Paths of an instance. `run` holds sockets, `media` is a folder in memory."""

    data: Path
    run: Path
    media: Path

    @classmethod
    def of(cls, data: Path) -> Layout:
        """The layout for the data folder `data`, which need not exist."""
        data = data.absolute()
        # The launcher hands an unreachable folder over under another path; sockets there would be
        # out of reach for everybody outside, so they get a place of their own.
        name = hashlib.sha256(os.fsencode(os.path.realpath(data))).hexdigest()[:12]
        run = data / "run"
        too_long = len(os.fsencode(run / LONGEST_SOCKET)) > SOCKET_PATH_BYTES
        if too_long or os.environ.get("FOOTLIGHT_MOUNTED_DATA"):
            run = Path(tempfile.gettempdir()) / f"footlight-{os.geteuid()}-{name}"
            if len(os.fsencode(run / LONGEST_SOCKET)) > SOCKET_PATH_BYTES:
                run = Path("/tmp") / run.name  # noqa: S108 (0700 and our own, checked in prepare())
        shm = Path("/dev/shm")  # noqa: S108
        media = shm / f"footlight-{name}" if os.access(shm, os.W_OK) else data / "media"
        return cls(data, run, media)

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def secrets(self) -> Path:
        return self.data / "secrets"

    @property
    def instance_file(self) -> Path:
        return self.data / "instance.json"

    def prepare(self) -> None:
        """Make the folders, private to this user. Raises SetupError when one belongs to somebody
        else.
        """
        found = foreign_entry(self.data)
        if found:
            raise SetupError(
                f"{shown(self.data)} is not empty and not a Footlight data folder (it holds {found}).\n"
                "Name an empty or new folder with --data."
            )
        for folder in (self.data, self.logs, self.secrets, self.run):
            _private_folder(folder)
        (self.data / MARKER).write_text("This folder holds one Footlight instance.\n")

    def remove_transient(self) -> None:
        """Remove what no next start needs: the media in memory, and sockets kept outside the data
        folder.
        """
        shutil.rmtree(self.media, ignore_errors=True)
        shutil.rmtree(self.run, ignore_errors=True)

    def prepare_media(self) -> int:
        """The media folder: a descriptor that has to stay open as long as the folder is in use.

        What is in it was left by an `up` that was killed: ingest goes on with it.
        """
        remove_stale_media(self.media.parent, but=self.media)
        while True:
            _private_folder(self.media)
            descriptor = os.open(self.media, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            # Another instance may have taken it for a dead one's before it was locked.
            if self.media.exists() and os.path.samestat(os.fstat(descriptor), self.media.stat()):
                return descriptor
            os.close(descriptor)


def remove_stale_media(parent: Path, *, but: Path | None = None) -> None:
    """Remove the media that instances of ours left in memory when they were killed, except those that
    may be started again in a moment and go on.

    An instance that lives holds a lock on its folder.
    """
    for folder in parent.glob(MEDIA_NAMES):
        if folder == but or _is_fresh(folder):
            continue
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def _is_fresh(media: Path) -> bool:
    """Whether a stream ran there within the longest grace window."""
    newest = 0.0
    with contextlib.suppress(OSError):
        newest = max((each.stat().st_mtime for each in media.iterdir()), default=0.0)
    return time.time() - newest < MEDIA_KEPT_S


def shown(path: Path) -> Path:
    """`path` as the user knows it: the launcher may have bound the data folder to another place."""
    original = os.environ.get("FOOTLIGHT_MOUNTED_DATA")
    if original and path.is_relative_to(MOUNTS):
        return Path(original, *path.relative_to(MOUNTS).parts[1:])
    return path


def foreign_entry(folder: Path) -> str | None:
    """Name of something in `folder` that no instance has put there; None for a data folder, empty
    or new one.

    It keeps a mistyped `--data /home/me` from being filled, and from being given to another user.
    """
    if not folder.exists() or (folder / MARKER).exists():
        return None
    known = {"toolchain", "lost+found", ".cache"}
    return min((entry.name for entry in folder.iterdir() if entry.name not in known), default=None)


def _private_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise SetupError(f"{folder} belongs to another user. Remove it, or run as that user.")
    folder.chmod(0o700)


@contextlib.contextmanager
def data_lock(data: Path) -> Iterator[None]:
    """Hold the data folder for this process alone. Raises SetupError when another `up` has it.

    The kernel drops the lock when its holder dies, however it dies. Children do not inherit it.
    """
    path = data / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
            raise SetupError(
                f"Footlight already runs on {shown(data)} (pid {holder}).\n"
                "Stop it first, or start a second instance with its own --data, --http-port and --rtmp-port."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def lock_holder(data: Path) -> int | None:
    """The pid of the `up` that holds `data`, or None."""
    try:
        descriptor = os.open(data / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode().strip()
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)
    return None


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` at once, readable by this user alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def generated_secret(folder: Path, name: str, make: Callable[[], str] | None = None) -> str:
    """The secret `name`: the one in `folder`, else a new one (48 letters and digits, 285 bits) kept
    there.
    """
    path = folder / name
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    alphabet = string.ascii_letters + string.digits
    # The first character is a letter: NATS would read a password of digits as a number.
    text = (make or (lambda: "k" + "".join(secrets.choice(alphabet) for _ in range(47))))()
    write_private(path, text + "\n")
    return text


def port_problem(host: str, port: int) -> int | None:
    """Why a server may not listen on `host`:`port` now, as an errno; None when it may."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the servers do: a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except socket.gaierror:
            return errno.EADDRNOTAVAIL
        except OSError as error:
            return error.errno
    return None


def free_port(taken: set[int], host: str = "127.0.0.1") -> int:
    """A free port that is not in `taken`, to which it is added."""
    random = SystemRandom()
    for _ in range(500):
        port = random.choice(PRIVATE_PORTS)
        if port not in taken and port_problem(host, port) is None:
            taken.add(port)
            return port
    raise SetupError(
        f"No free port between {PRIVATE_PORTS.start} and {PRIVATE_PORTS.stop} on {host}."
    )


def read_instance(data: Path) -> dict[str, Any] | None:
    """The running instance's instance.json, or None when none is ready on `data`."""
    try:
        content: dict[str, Any] = json.loads((data / "instance.json").read_text())
    except FileNotFoundError:
        return None
    return content
