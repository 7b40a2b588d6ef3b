"""The instance's settings and the overview over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, func, select, update

from api.admin.alerts import MOST
from api.app import operations
from api.openapi import document
from api.watching import without_backup_s
from core.db.engine import open_database
from core.db.models import BackupRun, Role, User
from core.service import Service
from core.settings import Settings
from tests.api_kit import Account, Client, Document, forget_settings, running_api

pytestmark = pytest.mark.asyncio(loop_scope="session")
PATH = "/admin/settings"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(
    api_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """An API whose environment leaves nearly everything to its admins."""
    given: dict[str, Any] = api_settings.model_dump(
        include={
            "database_url", "redis_url", "nats_url", "s3_endpoint", "s3_access_key", "s3_bucket",
            "ingest_listen", "s3_region",
        }
    )  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("own")
    settings = Settings(
        **given,
        s3_secret_key=api_settings.s3_secret_key,
        secret_key=api_settings.secret_key,
        api_listen=f"unix:{folder / 'api.sock'}",
        data_dir=folder,
        rate_limit_factor=1000,
        grace_s=7,
    )
    async with running_api(settings) as service:
        yield service
    await forget_settings(settings)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def admin(own: Service) -> AsyncIterator[Account]:
    caller = Account(own)
    caller.document = Document(document(operations(), own.settings))
    caller.user = (await caller.register(None))["user"]
    async with open_database(own.settings) as database, database.session() as session:
        await session.execute(update(User).where(User.id == caller.id).values(role=Role.ADMIN))
    yield caller
    await caller.close()


async def test_what_holds_and_why(admin: Account) -> None:
    found = (await admin("GET", PATH)).body
    assert found["fixed"] == {"grace_s": "FOOTLIGHT_GRACE_S"}
    assert (found["values"]["grace_s"], found["values"]["ladder"]) == (7.0, "auto")
    refused = await admin("PATCH", PATH, {"grace_s": 9})
    assert (refused.code, refused.body["error"]["field"]) == ("setting_fixed", "grace_s")


async def test_a_change_holds_at_once_and_is_undone(own: Service, admin: Account) -> None:
    before = (await admin("GET", PATH)).body
    changes = {"registration_open": False, "tagline": "  Open mic  ", "banner_text": "At 8."}
    made = (await admin("PATCH", PATH, {**changes, "version": before["version"]})).body
    assert made["values"]["tagline"] == "Open mic"
    assert set(made["chosen"]) == set(changes)
    assert made["changed_by"]["id"] == admin.user["id"]
    guest = Client(own)
    instance = (await guest("GET", "/instance")).body
    assert instance["banner"] == {"text": "At 8.", "level": "info", "until": None}
    newcomer = {"login": "latecomer", "email": "late@example.org", "password": "correct horse"}
    assert (await guest("POST", "/auth/register", newcomer)).code == "registration_closed"
    late = await admin("PATCH", PATH, {"tagline": "x", "version": before["version"]})
    assert late.code == "settings_changed"
    # Null takes one back; the undo brings back what its own version changed, and only that.
    await admin("PATCH", PATH, {"banner_text": None, "about": "Here."})
    undo = f"{PATH}/history/{made['version']}/undo"
    back = (await admin("POST", undo)).body
    assert back["values"]["registration_open"] is True
    assert (back["values"]["tagline"], back["values"]["about"]) == ("", "Here.")
    assert (await admin("POST", undo)).code == "nothing_to_undo"
    assert (await guest("GET", "/instance")).body["registration_open"] is True
    assert (await guest("GET", "/instance/texts")).body == {"about": "Here.", "rules": ""}
    history = await admin.items(f"{PATH}/history")
    assert [item["undoes"] for item in history][:3] == [made["version"], None, None]
    assert {"name": "registration_open", "before": False, "after": True} in history[0]["changes"]
    actions = [line["action"] for line in await admin.items("/admin/audit")]
    assert actions[:3] == ["settings.undone", "settings.changed", "settings.changed"]
    await guest.close()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ladder": "sideways"}, "ladder"),
        ({"upload_parallel": 0}, "upload_parallel"),
        ({"upload_max_bytes": 2**60}, "upload_max_bytes"),
        ({"recording": 1}, "recording"),
        ({"instance_name": " "}, "instance_name"),
        ({"tagline": "a\u202eb"}, "tagline"),
        ({"banner_until": "0001-01-01T00:00:00+14:00"}, "banner_until"),
        ({"secret_key": "x"}, "secret_key"),
    ],
)
async def test_wrong_values(admin: Account, changes: dict[str, Any], field: str) -> None:
    answer = await admin("PATCH", PATH, changes)
    assert (answer.status, answer.body["error"]["field"]) == (422, field)


async def test_for_admins_only(account: Callable[..., Awaitable[Account]]) -> None:
    mod = await account(Role.MODERATOR)
    for method, path in (
        ("GET", PATH),
        ("PATCH", PATH),
        ("GET", f"{PATH}/history"),
        ("POST", f"{PATH}/history/1/undo"),
        ("GET", "/admin/overview"),
    ):
        body: dict[str, Any] | None = {} if method == "PATCH" else None
        assert (await mod(method, path, body)).code == "forbidden"


async def test_the_overview(admin: Account) -> None:
    found = (await admin("GET", "/admin/overview")).body
    assert {each["name"]: each["ready"] for each in found["services"]}["postgres"] is True
    # Neither ingest nor recorder runs here.
    assert found["spool"] is None and found["machine"]["disks"] == []
    assert {alert["code"] for alert in found["alerts"]} >= {"ServiceDown"}
    assert found["machine"]["memory_total_bytes"] > 0
    assert found["versions"]["postgresql"]


async def test_what_was_never_backed_up_is_told_after_a_day(own: Service) -> None:
    async with open_database(own.settings) as database, database.session() as session:
        # Taken back at the end: others share these tables.
        await session.execute(delete(BackupRun))
        assert await without_backup_s(session) < MOST["BackupMissing"]
        long_ago = datetime.now(UTC) - timedelta(days=2)
        oldest = select(func.min(User.id)).scalar_subquery()
        await session.execute(update(User).where(User.id == oldest).values(created_at=long_ago))
        assert await without_backup_s(session) > MOST["BackupMissing"]
        run = BackupRun(started_at=long_ago, ended_at=long_ago, place="", error="no room")
        session.add(run)
        await session.flush()
        assert await without_backup_s(session) > MOST["BackupMissing"]
        run.error = None
        await session.flush()
        assert await without_backup_s(session) == 0
        await session.rollback()
