"""Release notes from CHANGELOG.md: `python3 -m cli.release_notes v0.2.0`. Standard library only."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from core.version import RELEASE

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def notes(changelog: str, version: str) -> str:
    """What the changelog has under `version` ("0.2.0"). Raises LookupError when there is nothing."""
    for section in re.split(r"(?m)^## ", changelog)[1:]:
        title, _, text = section.partition("\n")
        # "0.2.0", or "[0.2.0] - 2027-01-31".
        if title.split(" ")[0].strip("[]") == version and text.strip():
            return f"{text.strip()}\n"
    raise LookupError(f"CHANGELOG.md has nothing under {version}")


def of_this_release(version: str) -> str:
    """The notes of what is here. Raises LookupError when there are none, or this is another version."""
    if version != RELEASE:
        raise LookupError(f"These sources are {RELEASE}, not {version}: core/version.py")
    return notes(CHANGELOG.read_text(), version)


def main() -> int:
    """Print the notes of the release that the command line names, with or without its `v`."""
    if len(sys.argv) != 2:
        print("usage: python3 -m cli.release_notes VERSION", file=sys.stderr)
        return 2
    try:
        print(of_this_release(sys.argv[1].removeprefix("v")), end="")
    except LookupError as problem:
        print(problem.args[0], file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
