"""A setting that an admin changes holds in every process of a whole instance, without a restart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness import RunningInstance, eventually

SERVICES = ("api", "chat", "ingest", "recorder")


def version_in(url: str) -> int:
    """The version of the settings that a process says it holds to."""
    is_unix = url.startswith("unix:")
    transport = httpx.HTTPTransport(uds=url.removeprefix("unix:")) if is_unix else None
    address = "http://service" if is_unix else url
    with httpx.Client(transport=transport) as client:
        text = client.get(f"{address}/metrics").text
    found = re.search(r"^footlight_settings_version ([0-9.]+)$", text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


@pytest.fixture
def admin(instance: RunningInstance) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{instance.url}/api/v1") as client:
        login = client.post("/auth/login", json=instance.info["admin"]).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {login['access_token']}"
        yield client


def test_a_change_reaches_every_process(instance: RunningInstance, admin: httpx.Client) -> None:
    before: dict[str, Any] = instance.info["services"]
    changed = admin.patch("/admin/settings", json={"tagline": "Everywhere"}).raise_for_status()
    wanted = int(changed.json()["version"])
    try:
        for name in SERVICES:
            url = before[name]["url"]
            eventually(lambda url=url: version_in(url) == wanted, within_s=3, what=name)  # type: ignore[misc]
        assert httpx.get(f"{instance.url}/api/v1/instance").json()["tagline"] == "Everywhere"
        pids = {name: entry["pid"] for name, entry in instance.info["services"].items()}
        assert pids == {name: entry["pid"] for name, entry in before.items()}
    finally:
        admin.post(f"/admin/settings/history/{wanted}/undo").raise_for_status()
