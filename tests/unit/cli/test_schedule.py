from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from cli import schedule, scheduled
from cli.commands import parse
from cli.schedule import RETRY, Last, NotTaken, due, keep_taking
from core.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("last", "interval", "wanted"),
    (
        (Last(NOON, NOON), DAY, NOON + DAY),
        # One that failed is tried again soon, but not more often than one is wanted.
        (Last(NOON - HOUR, NOON), DAY, NOON + RETRY),
        (Last(None, NOON), DAY, NOON + RETRY),
        (Last(NOON - HOUR, NOON), timedelta(minutes=1), NOON + timedelta(minutes=1)),
    ),
)
def test_when_the_next_is_due(last: Last, interval: timedelta, wanted: datetime) -> None:
    assert due(last, interval) == wanted


def test_a_first_one_is_due_at_once() -> None:
    assert due(Last(), DAY) < NOON


async def test_what_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        secret_key=SecretStr("k" * 32), backup_place="/backups", backup_interval_hours=1e-9
    )
    told: asyncio.Queue[str] = asyncio.Queue()
    answers = iter((OSError("no database"), Last(), Last()))
    taken = iter((NotTaken("the disk is full"), None))

    async def last_backup(_: str) -> Last:
        return raised(next(answers))

    async def take() -> None:
        raised(next(taken))

    monkeypatch.setattr(schedule, "last_backup", last_backup)
    keeper = asyncio.create_task(
        keep_taking(settings, take, lambda place: told.put_nowait(f"in {place}"), told.put_nowait)
    )
    assert [await told.get() for _ in range(3)] == [
        "no database",
        "the disk is full",
        "in /backups",
    ]
    keeper.cancel()


def raised(value: Last | Exception | None) -> Last:
    if isinstance(value, Exception):
        raise value
    return value or Last()


@pytest.mark.parametrize(
    ("options", "place", "said"),
    (
        ((), "", "FOOTLIGHT_BACKUP_PLACE"),
        (("/one.tar",), "/backups", "no other options"),
        (("--objects", "copy"), "/backups", "no other options"),
    ),
)
def test_a_schedule_needs_a_place_and_nothing_else(
    options: tuple[str, ...], place: str, said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("FOOTLIGHT_SECRET_KEY", "k" * 32)
    monkeypatch.setenv("FOOTLIGHT_BACKUP_PLACE", place)
    given = parse(["backup", "--scheduled", *options])
    assert given.module == "cli.scheduled"
    assert scheduled.main(given) == 1
    assert said in capsys.readouterr().err


def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOOTLIGHT_SECRET_KEY", "k" * 32)
    monkeypatch.setenv("FOOTLIGHT_BACKUP_KEEP", "some")
    assert scheduled.main(parse(["backup", "--scheduled"])) == 1
    assert "FOOTLIGHT_BACKUP_KEEP: Input should be a valid integer" in capsys.readouterr().err
