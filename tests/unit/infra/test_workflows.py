"""The workflows: what comes before what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from bench.prometheus import DASHBOARDS

WORKFLOWS = DASHBOARDS.parent / ".github" / "workflows"


def jobs(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())["jobs"]
    return found


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"].strip() for step in job["steps"] if "run" in step]


def test_tests_may_make_namespaces() -> None:
    """Without them what confines ffmpeg is not there, and its tests fail."""
    allow, run = commands(jobs(WORKFLOWS / "ci.yml")["test"])
    assert allow.endswith("kernel.apparmor_restrict_unprivileged_userns=0")
    assert run == "./footlight test"


def test_advisories_are_looked_for_and_block_nothing() -> None:
    found = jobs(WORKFLOWS / "ci.yml")
    assert found["advisories"]["continue-on-error"] is True
    text = " ".join(commands(found["advisories"]))
    assert "pip-audit --strict" in text and "npm audit" in text
    assert all("advisories" not in job.get("needs", ()) for job in found.values())


def test_nothing_is_released_untested() -> None:
    found = jobs(WORKFLOWS / "release.yml")
    order = {name: job.get("needs") for name, job in found.items()}
    assert order == {"notes": None, "test": "notes", "images": "test", "publish": "images"}
    assert "python3 -m cli.release_notes" in commands(found["notes"])[0]
    assert found["test"]["uses"] == "./.github/workflows/ci.yml"
    # "on" is a truth value in YAML 1.1.
    assert "workflow_call" in yaml.safe_load((WORKFLOWS / "ci.yml").read_text())[True]
