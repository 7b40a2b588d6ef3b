"""Names in the environment that look like settings and are none: without a word, a slip of the pen would be obeyed
by leaving the default.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from core.settings.files import PREFIX

#: Read by the launcher and by docker-compose.yml, which hand them on with everything else.
NO_SETTINGS = frozenset({"TOOLCHAIN", "TOOLCHAIN_VIEW", "MOUNTED_DATA", "IMAGES", "VERSION"})


def unknown(environment: Iterable[str], settings: Iterable[str]) -> dict[str, str]:
    """Of the names in an environment those that mean nothing to us, each with the nearest that does ("": none is
    near).
    """
    known = {name.upper() for name in settings}
    found = {}
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX):
            continue
        word = name.upper().removeprefix(PREFIX)
        if word in NO_SETTINGS or word in known or word.removesuffix("_FILE") in known:
            continue
        near = difflib.get_close_matches(word, known, 1, cutoff=0.75)
        found[name] = f"{PREFIX}{near[0]}" if near else ""
    return found
