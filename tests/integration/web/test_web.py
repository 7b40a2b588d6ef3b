"""The web UI's own checks: types, lint and unit tests (web/package.json)."""

from __future__ import annotations

import os
import subprocess

import pytest

from cli.toolchain import Toolchain


@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", ("typecheck", "lint", "test"))
def test_web_sources_pass_their_checks(script: str, toolchain: Toolchain) -> None:
    node, npm = toolchain.node()
    result = subprocess.run(
        [str(node), str(npm), "run", "--silent", script],
        cwd=toolchain.web_tests(),
        env={**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
