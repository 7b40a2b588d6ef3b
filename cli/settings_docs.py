"""`footlight settings-docs`: docs/configuration.md and .env.example, from the settings class."""

from __future__ import annotations

import argparse
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.settings import PREFIX, Settings

SOURCE = Path(__file__).resolve().parent.parent
DOCUMENT, EXAMPLE = SOURCE / "docs/configuration.md", SOURCE / ".env.example"
WIDTH = 100


def main(arguments: argparse.Namespace) -> int:
    """Write both files, or with --check compare them."""
    wanted = {DOCUMENT: document(), EXAMPLE: example()}
    if not arguments.check:
        for path, text in wanted.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(
            f"{path.relative_to(SOURCE)} is out of date: run ./footlight settings-docs",
            file=sys.stderr,
        )
    return 1 if stale else 0


def document() -> str:
    """docs/configuration.md."""
    rows = [
        f"| `{variable(name)}` | {type_name(field)} | {shown_default(field)} | {description(field)} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        (
            "# Configuration",
            "",
            "Every setting is an environment variable. `./footlight up` chooses all of them for a single",
            "machine; what is set in its environment wins. A variable with `_FILE` behind its name reads the",
            "value from that file, which keeps secrets out of the environment.",
            "",
            "This page and `.env.example` are written by `./footlight settings-docs` from `core/settings.py`.",
            "",
            "| Variable | Type | Default | Meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        )
    )


def example() -> str:
    """.env.example: every variable, commented out with its default."""
    lines = [
        "# Every setting of Footlight with its default. Copy to .env and remove the # of what you change.",
        "# docs/configuration.md lists the same with types. VARIABLE_FILE=/path reads a value from a file.",
    ]
    for name, field in Settings.model_fields.items():
        lines.append("")
        lines += wrapped(field.description or "")
        lines.append(f"#{variable(name)}={plain_default(field)}")
    return "\n".join(lines) + "\n"


def wrapped(text: str) -> list[str]:
    """`text` as comment lines."""
    lines = ["#"]
    for word in text.split():
        if len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append("#")
        lines[-1] += f" {word}"
    return lines


def variable(name: str) -> str:
    """The environment variable of the field `name`."""
    return f"{PREFIX}{name.upper()}"


def type_name(field: FieldInfo) -> str:
    """The field's type in words."""
    kind: Any = field.annotation
    names = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path"}
    if kind is SecretStr:
        return "secret"
    if typing.get_origin(kind) is list:
        return "list (JSON, or separated by commas)"
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(choice for choice in typing.get_args(kind) if choice is not type(None))
    return names.get(kind, "text")


def plain_default(field: FieldInfo) -> str:
    """The default as it would be written in the environment; empty when there is none or it is
    computed.
    """
    value = field.default
    if field.default_factory is not None:
        # A list is the same everywhere; anything else that is computed (the host's name) is not.
        value = typing.cast(Any, field.default_factory)()
        if not isinstance(value, list):
            return ""
    if value is PydanticUndefined or value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, list) else str(value)


def shown_default(field: FieldInfo) -> str:
    """The default for the table."""
    if field.is_required():
        return "**required**"
    text = plain_default(field)
    return f"`{text}`" if text else "empty"


def description(field: FieldInfo) -> str:
    """The description as a table cell."""
    return (field.description or "").replace("|", "\\|")
