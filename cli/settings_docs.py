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

from cli.source import SOURCE
from core.instance_settings import InstanceSettings
from core.settings import PREFIX, Settings

DOCUMENT, EXAMPLE = SOURCE / "docs/configuration.md", SOURCE / ".env.example"
WIDTH = 100
# What docker-compose.yml alone reads: variable, default, meaning.
CONTAINERS = (
    (
        "COMPOSE_PROFILES",
        "",
        "What runs: `small` or `all`, and beside it `backup`, `tls` and `acme`.",
    ),
    (
        "FOOTLIGHT_IMAGES",
        "footlight",
        "Where images come from, such as `ghcr.io/somebody/footlight`; the names of those built here.",
    ),
    ("FOOTLIGHT_VERSION", "local", "Tag of the images; `local` are those that were built here."),
    (
        "LISTEN_ADDRESS",
        "0.0.0.0",  # noqa: S104 (published by containers)
        "Address of this machine at which everything public is published.",
    ),
    ("HTTP_PORT", "8080", "Port of the web UI there."),
    ("HTTPS_PORT", "8443", "The same over TLS; wants FOOTLIGHT_HTTPS_LISTEN=0.0.0.0:8443."),
    ("RTMP_PORT", "1935", "Port for OBS."),
    ("RTMPS_PORT", "1936", "The same over TLS; wants FOOTLIGHT_RTMPS_LISTEN=0.0.0.0:1936."),
    ("IRC_PORT", "6667", "Port of chat over IRC."),
    ("IRC_TLS_PORT", "6697", "The same over TLS; wants FOOTLIGHT_IRC_TLS_LISTEN=0.0.0.0:6697."),
    ("TLS_FOLDER", "tls", "A folder with certificates, or the volume in which ACME keeps them."),
    (
        "BACKUP_FOLDER",
        "backup",
        "A folder for backups, of user 10001, or a volume; `/backup` inside.",
    ),
    ("LIVE_SIZE", "2g", "Memory for the live window of all streams."),
    ("INGEST_MEMORY", "4g", "Most memory for `ingest`, the live window and its encoders included."),
    ("WORKER_MEMORY", "4g", "Most memory for `recorder`, and for each `worker`."),
    ("WORKER_CPUS", "2", "Most processors for each `worker`."),
    ("POSTGRES_PASSWORD", "", "Password of PostgreSQL's user `footlight`."),
    ("REDIS_PASSWORD", "", "Password of Redis."),
    ("NATS_PASSWORD", "", "Password of NATS's user `footlight`; begins with a letter."),
    ("GRAFANA_PASSWORD", "", "Password of Grafana's user `admin`, at its first start."),
    (
        "GRAFANA_DATABASE_PASSWORD",
        "",
        "Password of PostgreSQL's user that Grafana reads with (docs/operations/monitoring.md).",
    ),
    ("GRAFANA_PORT", "3000", "Port of Grafana on 127.0.0.1."),
    ("METRICS_DAYS", "30", "Days for which Prometheus keeps metrics."),
    ("DOCKER_GROUP", "999", "Number of the group that may read the engine's socket, for logs."),
)


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
        f"| `{variable(name)}` | {type_name(field)} | {shown_default(field)} | {meaning(name, field)} |"
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
            "This page and `.env.example` are written by `./footlight settings-docs` from `core/settings/`.",
            "",
            "What is marked † the site's admins may change while the instance runs, at `/admin/settings`, unless the",
            "variable is set: that fixes it ([operations/settings.md](operations/settings.md)).",
            "",
            "| Variable | Type | Default | Meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Containers",
            "",
            "`docker-compose.yml` reads these from `.env` too. `infra/docker/make-env` makes one up with new",
            "secrets ([how](install.md#in-containers)).",
            "",
            "| Variable | Default | Meaning |",
            "|---|---|---|",
            *(
                f"| `{name}` | {f'`{default}`' if default else 'empty'} | {meaning} |"
                for name, default, meaning in CONTAINERS
            ),
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
    lines += ["", "# --- What docker-compose.yml alone reads; infra/docker/make-env fills it in."]
    for name, default, meaning in CONTAINERS:
        lines += ["", *wrapped(meaning), f"#{name}={default}"]
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


def meaning(name: str, field: FieldInfo) -> str:
    """The description, marked where an admin may change the setting of a running instance."""
    changeable = name in InstanceSettings.model_fields or name == "streaming_open"
    return f"{description(field)} †" if changeable else description(field)


def description(field: FieldInfo) -> str:
    """The description as a table cell."""
    return (field.description or "").replace("|", "\\|")
