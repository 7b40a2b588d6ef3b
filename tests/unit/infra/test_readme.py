"""README.md: every page is found from there, and every link leads somewhere."""

from __future__ import annotations

import re

from bench.prometheus import DASHBOARDS

ROOT = DASHBOARDS.parent


def test_every_page_is_found() -> None:
    links = set(re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()))
    assert {link for link in links if not (ROOT / link).exists()} == set()
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages - links if not page.startswith("docs/decisions/")} == set()
