"""Whether a migration may run while the release before it still does: what it would do, as SQL, and what of
that keeps the old code from working or everybody from waiting.
"""

from __future__ import annotations

import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType

from alembic.migration import MigrationContext
from alembic.operations import Operations

#: Each with what to do instead. Tables that the same migration made are nobody's yet, and are left out.
RULES = (
    (
        r"drop table|drop column|rename ",
        "the release before still uses it: drop it in the one after, and name it in CONTRACTS",
    ),
    (r"alter column \S+ (set data )?type", "it is rewritten under a lock: add a column instead"),
    (r"alter column \S+ set not null", "all of it is read under a lock: add a check, not valid"),
    (
        r"create (unique )?index (?!concurrently)",
        "nobody writes meanwhile: create it concurrently, in an autocommit block",
    ),
    (
        r"add column (?!.*default)(.*) not null",
        "the release before does not fill it: give it a default",
    ),
    (
        r"add constraint (?!.*not valid).*(check|foreign key)",
        "all of it is read under a lock: add it not valid, validate it in another transaction",
    ),
    (
        r"add constraint .*(unique|primary key)",
        "an index is built under a lock: create it concurrently first",
    ),
    (r"^(update|delete) ", "rows stay locked until the end: let a service do it in batches"),
)


def load(path: Path) -> ModuleType:
    """A migration's module."""
    spec = importlib.util.spec_from_file_location(f"migration_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def statements(migration: ModuleType) -> list[str]:
    """What its `upgrade` would run, one line each, in lower case."""
    output = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": output}
    )
    with Operations.context(context):
        migration.upgrade()
    return [
        re.sub(r"\s+", " ", each).strip().lower()
        for each in output.getvalue().split(";\n")
        if each.strip()
    ]


def problems(sql: list[str], contracts: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with the statements. `contracts` names what the release before no longer uses."""
    made = {found[1] for each in sql if (found := re.match(r"create table (\S+)", each))}
    return [
        f"{each[:120]}: {advice}"
        for each in sql
        if _table(each) not in made
        for rule, advice in RULES
        if re.search(rule, each) and not any(name in each for name in contracts)
    ]


def _table(statement: str) -> str:
    found = re.search(
        r"(?:alter table (?:only )?|^update |^delete from |drop table | on (?=\S+ (?:using|\()))(\S+)",
        statement,
    )
    return found[1] if found else ""
