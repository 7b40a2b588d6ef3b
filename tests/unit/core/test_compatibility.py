"""Every migration works with the release before it: it adds, and takes away only what nothing uses."""

from __future__ import annotations

import pytest

from core.db.migrate import MIGRATIONS
from tests.migration_kit import load, problems, statements

#: Of the first release: nothing ran before them.
FIRST = ("0001", "0002", "0003")
FILES = sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_migrations_are_compatible(path: object) -> None:
    migration = load(path)  # type: ignore[arg-type]
    found = problems(statements(migration), getattr(migration, "CONTRACTS", ()))
    if migration.revision not in FIRST:
        assert found == []


@pytest.mark.parametrize(
    "sql",
    (
        "alter table users drop column bio",
        "drop table follows",
        "alter table users rename bio to about",
        "alter table users rename column bio to about",
        "alter table users alter column id type integer",
        "alter table users alter column bio set not null",
        "alter table users add column age bigint not null",
        "create index ix_users_bio on users (bio)",
        "create unique index ix_users_bio on users using gin (bio)",
        "alter table users add constraint ck_users_role check (role in ('viewer'))",
        "alter table users add constraint fk_a foreign key(a) references b (id)",
        "alter table users add constraint uq_users_bio unique (bio)",
        "update users set bio = ''",
    ),
)
def test_what_does_not_go_together_is_found(sql: str) -> None:
    assert len(problems([sql])) == 1


@pytest.mark.parametrize(
    "sql",
    (
        "create table backups (id bigint not null)",
        "alter table users add column about text",
        "alter table users add column age bigint default '0' not null",
        "create index concurrently ix_users_bio on users (bio)",
        "alter table users add constraint ck_a check (a > 0) not valid",
        "alter table users validate constraint ck_a",
        "alter table users alter column bio drop not null",
    ),
)
def test_what_goes_together_is_left_alone(sql: str) -> None:
    assert problems([sql]) == []


def test_new_tables_are_nobodys_yet() -> None:
    made = ["create table a (id bigint)", "create index ix_a on a (id)", "update a set id = 1"]
    assert problems(made) == []
    assert len(problems([*made, "create index ix_b on b (id)"])) == 1


def test_what_is_contracted_is_named() -> None:
    assert problems(["alter table users drop column bio"], ("users drop column bio",)) == []
