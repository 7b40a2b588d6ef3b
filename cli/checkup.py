"""What `footlight doctor` looks at in an instance: its settings, its data folder, its backups."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from cryptography import x509
from pydantic import ValidationError

from cli.findings import Finding, Verdict
from cli.instance import Layout, SetupError, lock_holder, read_instance, shown
from cli.replacing import COMPLETE, DRAFT
from cli.schedule import last_backup
from cli.toolchain import Toolchain
from cli.versions import refuse_newer
from core.settings import PREFIX, Settings

#: A certificate that ends sooner is not renewed by anything.
CERTIFICATE_DAYS = 14


def checkup(layout: Layout, toolchain: Toolchain) -> Iterator[Finding]:
    """Every finding about the instance in a data folder, which may be empty."""
    content = read_instance(layout.data) if lock_holder(layout.data) is not None else None
    chosen = settings(content)
    if isinstance(chosen, Finding):
        yield chosen
    yield from mistyped()
    yield from data_folder(layout)
    yield from database(layout, toolchain)
    yield from secret_files(layout)
    if isinstance(chosen, Settings):
        yield from certificate(chosen)
        yield backups(layout, chosen, running=content is not None)


def settings(content: dict[str, Any] | None) -> Settings | Finding:
    """Those of the instance that runs, else those of the environment; or what is wrong with them."""
    given = {**os.environ, **(content["environment"] if content else {})}
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in given.items()
        if name.startswith(PREFIX) and not name.endswith("_FILE")
    }
    try:
        # The master secret is in a file, or made at the first start.
        return Settings.model_validate({"secret_key": "k" * 32, **values})
    except ValidationError as problem:
        wrong = problem.errors(include_url=False, include_input=False)[0]
        name = f"{PREFIX}{wrong['loc'][0]}".upper() if wrong["loc"] else "together"
        mend = "docs/configuration.md says what each setting takes"
        return Finding(Verdict.BAD, "Settings", f"{name}: {wrong['msg']}", mend)


def mistyped() -> Iterator[Finding]:
    """What the environment sets in vain."""
    for text in Settings.mistyped():
        mend = "It changes nothing; docs/configuration.md has every name"
        yield Finding(Verdict.ADVICE, "Settings", text, mend)


def data_folder(layout: Layout) -> Iterator[Finding]:
    """Which release it is of, and what a restore left in it."""
    try:
        refuse_newer(layout.data)
    except SetupError as problem:
        first, _, mend = str(problem).partition("\n")
        yield Finding(Verdict.BAD, "Data folder", first, mend)
    draft = layout.data / DRAFT
    if (draft / COMPLETE).exists():
        mend = "Start `up`, which goes on with it"
        yield Finding(Verdict.ADVICE, "Data folder", "a restore was interrupted at its end", mend)
    elif draft.exists() and lock_holder(layout.data) is None:
        mend = f"Remove {shown(draft)}; nothing was changed"
        yield Finding(Verdict.ADVICE, "Data folder", "a restore was interrupted", mend)
    for aside in sorted(layout.data.glob("replaced-*")):
        mend = f"Remove {shown(aside)} once the restored instance is well"
        yield Finding(Verdict.ADVICE, "Data folder", "holds what a restore replaced", mend)


def database(layout: Layout, toolchain: Toolchain) -> Iterator[Finding]:
    """Whether this PostgreSQL can read the database."""
    file = layout.data / "postgres" / "PG_VERSION"
    program = toolchain.find("postgres")
    if program is None or not file.exists():
        return
    made, ours = file.read_text().strip(), program.version().split(".")[0]
    if made == ours:
        yield Finding(Verdict.GOOD, "Database", f"made by PostgreSQL {made}, as is here")
        return
    mend = f"Back up with PostgreSQL {made} and restore into an empty folder (docs/operations/backup.md)"
    yield Finding(Verdict.BAD, "Database", f"made by PostgreSQL {made}; here is {ours}", mend)


def secret_files(layout: Layout) -> Iterator[Finding]:
    """Nobody else may read them."""
    folder = layout.secrets
    if not folder.is_dir():
        return
    open_ones = [path for path in (folder, *folder.iterdir()) if _is_open(path)]
    for path in open_ones:
        mend = f"chmod go= {shown(path)}; others may have read it: ./footlight admin rotate-keys"
        yield Finding(Verdict.BAD, "Secrets", f"{shown(path)} is open to others", mend)
    if not open_ones:
        yield Finding(Verdict.GOOD, "Secrets", "closed to others")


def _is_open(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def certificate(chosen: Settings) -> Iterator[Finding]:
    """How long the certificate holds, where there is one."""
    file = chosen.certificate[0]
    if chosen.tls_certificate is None and not file.exists():
        return
    try:
        ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        mend = "It has to be a PEM file with the certificate chain"
        yield Finding(Verdict.BAD, "Certificate", f"{file} cannot be read: {error}", mend)
        return
    left = ends - datetime.now(UTC)
    text = f"holds until {ends:%Y-%m-%d}"
    if left > timedelta(days=CERTIFICATE_DAYS):
        yield Finding(Verdict.GOOD, "Certificate", text)
        return
    verdict = Verdict.ADVICE if left > timedelta() else Verdict.BAD
    yield Finding(verdict, "Certificate", text, "Renew it; it is loaded without a restart")


def backups(layout: Layout, chosen: Settings, *, running: bool) -> Finding:
    """Whether there is one, and how old it is."""
    mend = "Set FOOTLIGHT_BACKUP_PLACE, or run ./footlight backup FILE (docs/operations/backup.md)"
    if not running:
        if chosen.backup_place:
            return Finding(Verdict.GOOD, "Backups", f"go to {chosen.backup_place}")
        return Finding(Verdict.ADVICE, "Backups", "none are taken by themselves", mend)
    try:
        last = asyncio.run(last_backup(chosen.database_url))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return Finding(Verdict.ADVICE, "Backups", f"the database does not say: {error}")
    if last.taken is None:
        return Finding(Verdict.ADVICE, "Backups", "none was ever taken", mend)
    age = datetime.now(UTC) - last.taken
    text = f"the last one ended {age.total_seconds() / 3600:.1f} hours ago"
    if last.tried is not None and last.tried > last.taken:
        log = layout.logs / "backup.log"
        where = shown(log) if log.exists() else "the log of `footlight backup`"
        return Finding(Verdict.ADVICE, "Backups", f"{text}; one failed since", f"Look into {where}")
    if age > 2 * timedelta(hours=chosen.backup_interval_hours):
        return Finding(Verdict.ADVICE, "Backups", text, mend)
    return Finding(Verdict.GOOD, "Backups", text)
