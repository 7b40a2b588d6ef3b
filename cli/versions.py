"""Which release a data folder was used by last: a newer one may have changed it beyond our knowledge.

Standard library only: asked before anything is started.
"""

from __future__ import annotations

import json
from pathlib import Path

from cli.instance import SetupError, shown, write_private
from core.version import RELEASE

_MIGRATIONS = Path(__file__).resolve().parent.parent / "core/db/migrations/versions"
_FILE = "release.json"


def schemas() -> list[str]:
    """The revisions of the schema that this release knows, the oldest first; their files begin with them."""
    return sorted(path.name.partition("_")[0] for path in _MIGRATIONS.glob("[0-9]*_*.py"))


def note(data: Path) -> None:
    """Write down that this release has prepared `data`."""
    text = json.dumps({"release": RELEASE, "schema": schemas()[-1]})
    write_private(data / _FILE, text + "\n")


def refuse_newer(data: Path) -> None:
    """Raises SetupError for a data folder that a newer release has prepared."""
    try:
        found = json.loads((data / _FILE).read_text())
        release, schema = str(found["release"]), str(found["schema"])
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{shown(data / _FILE)} cannot be read: {error}") from error
    if schema not in schemas():
        raise SetupError(
            f"{shown(data)} was used by Footlight {release}, whose database (schema {schema}) this release, "
            f"{RELEASE}, does not know.\nStart it with that release, or restore a backup taken before the "
            "upgrade into another folder with --data."
        )
