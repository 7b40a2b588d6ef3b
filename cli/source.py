"""The source tree that runs. Standard library only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
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
