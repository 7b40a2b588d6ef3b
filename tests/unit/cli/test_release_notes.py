from __future__ import annotations

import pytest

from cli.release_notes import CHANGELOG, notes, of_this_release

TEXT = """# Changelog

Policy.

## Unreleased

## [0.2.0] - 2027-01-31

### Added

- A thing.

## 0.1.0

- The first.
"""


def test_notes_are_one_section() -> None:
    assert notes(TEXT, "0.2.0") == "### Added\n\n- A thing.\n"
    assert notes(TEXT, "0.1.0") == "- The first.\n"


@pytest.mark.parametrize("version", ["0.3.0", "Unreleased", "0.2"])
def test_nothing_is_no_release(version: str) -> None:
    with pytest.raises(LookupError, match=version):
        notes(TEXT, version)


def test_our_changelog_can_be_read() -> None:
    assert "### Added" in notes(CHANGELOG.read_text(), "Unreleased")


def test_tag_of_another_version_is_no_release() -> None:
    with pytest.raises(LookupError, match=r"core/version\.py"):
        of_this_release("99.0.0")
