"""Python package indexes other than PyPI, as the user's environment and pip configuration name
them.
"""

from __future__ import annotations

import configparser
import html
import re
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urljoin

PIP_FILES = (Path("/etc/pip.conf"), Path("~/.pip/pip.conf"), Path("~/.config/pip/pip.conf"))


def index_url(environment: Mapping[str, str], files: Sequence[Path] = PIP_FILES) -> str | None:
    """The index that the user asks for, or None for PyPI."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if environment.get(name):
            return _unless_pypi(environment[name])
    found = None
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file.expanduser())
        except (configparser.Error, OSError, RuntimeError, UnicodeDecodeError):
            continue
        found = parser.get("global", "index-url", fallback=found)
    return _unless_pypi(found) if found else None


def _unless_pypi(url: str) -> str | None:
    return None if url.rstrip("/") == "https://pypi.org/simple" else url


def wheel_url(locked: str, index: str | None) -> str:
    """Where to get the wheel that the lock file names at `locked`: there, or from `index` under its
    name.

    An index that does not list it leaves the locked address; the file's hash decides in the end.
    """
    if index is None:
        return locked
    name = locked.rpartition("/")[2]
    page_url = index.rstrip("/") + f"/{name.split('-')[0].lower()}/"
    with urllib.request.urlopen(page_url, timeout=60) as answer:  # noqa: S310
        page = answer.read().decode(errors="replace")
        base = answer.url
    link = re.search(rf'href="([^"#]*{re.escape(name)})(#[^"]*)?"', page)
    return urljoin(base, html.unescape(link[1])) if link else locked
