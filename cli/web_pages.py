"""The web UI of the toolchain, built by npm, and what checks it. Standard library only."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from cli.pieces import Progress, complete, completed, run
from cli.python_environment import PythonEnvironment
from cli.source import source_files, tree_hash


class WebPages:
    """The pages of `source`, in a folder of their own for each content; `python` brings Node."""

    def __init__(
        self, source: Path, root: Path, python: PythonEnvironment, progress: Progress
    ) -> None:
        self.root = root
        self.source = source / "web"
        self.progress = progress
        self.files = [file for file in source_files(source) if file.is_relative_to(self.source)]
        self.folder = root / "webs" / tree_hash(self.files, source)
        self.tests = root / "web-tests" / self.folder.name
        self._python = python

    def build(self) -> None:
        """The pages, if they are not there. Raises SetupFailed."""
        if complete(self.folder):
            return
        began = time.monotonic()
        draft = self.folder.with_name(f"{self.folder.name}.new")
        self._copy(draft)
        with self.progress.heartbeat("Web pages", "building"):
            self._npm(draft, "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error")
            self._npm(draft, "run", "build", "--silent")
        finished = draft.with_suffix(".dist")
        shutil.rmtree(finished, ignore_errors=True)
        (draft / "dist").rename(finished)
        shutil.rmtree(draft)
        completed(finished)
        finished.rename(self.folder)
        self.progress.line("Web pages", f"built ({time.monotonic() - began:.1f} s)")

    def prepare_tests(self) -> None:
        """What checks them, if it is not there. Raises SetupFailed."""
        if complete(self.tests):
            return
        with self.progress.heartbeat("Web tests", "fetching"):
            self._copy(self.tests)
            self._npm(self.tests, "ci", "--no-audit", "--no-fund", "--loglevel=error")
        completed(self.tests)

    def _copy(self, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        for file in self.files:
            place = target / file.relative_to(self.source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)

    def _npm(self, folder: Path, *arguments: str) -> None:
        node, npm = self._python.node()
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
        run("Web pages", [str(node), str(npm), *arguments], environment, folder)
