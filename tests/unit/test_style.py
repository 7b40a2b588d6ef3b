"""The sources as the tools see them; pyproject.toml says what is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "tool",
    (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)),
    ids=" ".join,
)
def test_sources_are_clean(tool: tuple[str, ...], tmp_path: Path) -> None:
    program, *arguments = tool
    # What is written down for a next time would never be read.
    caches = {"RUFF_CACHE_DIR": str(tmp_path), "MYPY_CACHE_DIR": os.devnull}
    result = subprocess.run(
        [str(Path(sys.prefix) / "bin" / program), *arguments],
        cwd=SOURCE,
        env={**os.environ, **caches},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
