"""The Dockerfiles: what hadolint says of them, and that what they copy is there."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compose_kit import SOURCES_IN_IMAGE, WEB_IN_IMAGE, raw
from tests.harness import SOURCE

FILES = sorted((SOURCE / "infra/docker").glob("*Dockerfile"))
TEXT = (SOURCE / "infra/docker/Dockerfile").read_text()
IGNORE = (SOURCE / ".dockerignore").read_text().splitlines()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_dockerfile_is_clean(file: Path) -> None:
    program = Path(sys.prefix) / "bin/hadolint"
    run = subprocess.run([program, "--no-color", file], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def copied() -> list[str]:
    """What COPY takes from the build context."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)
    return [path for line in lines for path in line.split()]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    allowed = [line[1:] for line in IGNORE if line.startswith("!")]
    assert copied()
    for path in copied():
        assert (SOURCE / path).exists()
        assert any(path == one or path.startswith(f"{one}/") for one in allowed), path
    assert not any(fnmatch.fnmatch(".env", one) for one in allowed)


def test_every_package_of_ours_is_in_the_image() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")} - {"bench", "tests"}
    assert packages | {"nginx-rtmp"} <= set(copied())
    assert f"WORKDIR {SOURCES_IN_IMAGE}\n" in TEXT
    assert f" {WEB_IN_IMAGE}\n" in TEXT


def test_servers_packages_are_those_of_up() -> None:
    """nginx and its modules as `up` unpacks them; PostgreSQL's programs for backups."""
    from cli.debian import SERVER_PACKAGES

    installed = set(re.findall(r"[a-z][a-z0-9-]+", TEXT))
    wanted = {name for name in SERVER_PACKAGES if name.startswith(("nginx", "libnginx"))}
    assert wanted <= installed
    page = (SOURCE / "docs/install.md").read_text().partition("apt-get install ")[2]
    by_hand = set(page.partition("\n   systemctl")[0].replace("\\", "").split())
    assert wanted | {"git", "postgresql", "redis-server"} <= by_hand
    # What confines ffmpeg is in core/confine.py; the threat model says why.
    assert "bubblewrap" not in installed | by_hand


def test_targets_that_are_built_are_there() -> None:
    for service in raw()["services"].values():
        build = service.get("build")
        if build:
            text = (SOURCE / build["context"] / build["dockerfile"]).read_text()
            assert re.search(rf"^FROM \S+ AS {build['target']}$", text, re.MULTILINE)
            assert text.rstrip().split("\n")[-1] != "USER 0:0"
