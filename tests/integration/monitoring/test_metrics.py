"""What dashboards and alert rules name, compared with what a running instance exposes."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping

import asyncpg
import httpx
import pytest
from prometheus_client.openmetrics.parser import text_fd_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain_text
from prometheus_client.samples import Sample
from sqlalchemy.engine import make_url

from bench.prometheus import CONFIGURATION, alerts, panels
from cli.toolchain import Toolchain
from tests.harness import RunningInstance, eventually

SERVICES = ("api", "chat", "ingest", "recorder")
# Values of labels are from our own code: names of routes, reasons, states.
LABEL = re.compile(r"[A-Za-z0-9_./{}:+*,<>^-]{0,120}")
SUFFIX = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def expositions(instance: RunningInstance) -> dict[str, tuple[str, str]]:
    """Content type and text of /metrics of every process."""
    environment = instance.info["environment"]
    sockets = {name: environment[f"FOOTLIGHT_{name.upper()}_LISTEN"] for name in SERVICES}
    sockets["edge"] = json.loads(environment["FOOTLIGHT_EDGE_INTERNAL_URLS"])[0]
    found = {}
    for name, url in sockets.items():
        transport = httpx.HTTPTransport(uds=url.removeprefix("unix:"))
        with httpx.Client(transport=transport, base_url="http://process") as client:
            answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        answer.raise_for_status()
        found[name] = (answer.headers["Content-Type"], answer.text)
    return found


@pytest.fixture(scope="module")
def families(instance: RunningInstance) -> Mapping[str, tuple[str, list[Sample]]]:
    """Every metric that a process of the instance has: its type, and its series."""
    httpx.get(f"{instance.url}/api/v1/instance").raise_for_status()
    # Ingest asks nginx every few seconds.
    eventually(
        lambda: "footlight_rtmp_up 1" in expositions(instance)["ingest"][1], what="nginx is seen"
    )
    found: dict[str, tuple[str, list[Sample]]] = {}
    for kind, text in expositions(instance).values():
        if "openmetrics" in kind:
            lines = iter(text.splitlines(keepends=True))
            parsed = openmetrics(lines)  # type: ignore[no-untyped-call]
        else:
            parsed = plain_text(text)
        for family in parsed:
            known = found.setdefault(family.name, (family.type, []))
            assert known[0] == family.type, f"{family.name} is of two types"
            known[1].extend(family.samples)
    return found


def names_of(families: Mapping[str, tuple[str, list[Sample]]]) -> set[str]:
    """As Prometheus knows them."""
    found = {"up", "ALERTS"}
    for name, (kind, _) in families.items():
        found |= {name + suffix for suffix in SUFFIX.get(kind, ("",))}
    return found


def test_dashboards_and_rules_name_only_what_there_is(
    families: Mapping[str, tuple[str, list[Sample]]],
) -> None:
    known = names_of(families)
    unknown = {
        query.place: query.metrics - known
        for query in (*panels(), *alerts())
        if query.metrics - known
    }
    assert not unknown


def test_every_metric_of_ours_is_on_a_dashboard_or_in_a_rule(
    families: Mapping[str, tuple[str, list[Sample]]],
) -> None:
    used = set().union(*(query.metrics for query in (*panels(), *alerts())))
    for name, (kind, _) in families.items():
        if name.startswith("footlight_") and name not in UNSHOWN:
            assert used & {name + suffix for suffix in SUFFIX.get(kind, ("",))}, name


# For whoever asks Prometheus itself.
UNSHOWN = {
    "footlight_build",
    "footlight_build_info",
    "footlight_mails",
    "footlight_rtmp_uptime_seconds",
    "footlight_settings_version",
    "footlight_edge_worker_held_requests",
}


def test_names_and_labels_are_bounded_and_of_prometheus_form(
    families: Mapping[str, tuple[str, list[Sample]]],
) -> None:
    for name, (kind, samples) in families.items():
        if not name.startswith("footlight_"):
            continue
        assert re.fullmatch(r"footlight_[a-z0-9]+(_[a-z0-9]+)*", name), name
        assert not re.search(r"_(ms|milliseconds|minutes|mb|kb|percent)\b", name), name
        for sample in samples:
            for label, value in sample.labels.items():
                assert label not in ("id", "session", "stream", "channel", "room", "login", "user")
                assert LABEL.fullmatch(value), (name, label, value)
                # A number of four digits is an id, unless it is a bucket's bound.
                assert label == "le" or not re.search(r"\d{4,}", value), (name, label, value)
        if kind == "counter":
            assert all(sample.value >= 0 for sample in samples), name


async def test_the_page_of_one_stream_asks_what_the_database_has(instance: RunningInstance) -> None:
    """Ids are no labels: what is known of one stream comes from PostgreSQL."""
    url = make_url(instance.info["environment"]["FOOTLIGHT_DATABASE_URL"])
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    board = json.loads((CONFIGURATION.parents[1] / "dashboards" / "stream.json").read_text())
    queries = [query.text for query in panels("grafana-postgresql-datasource")]
    queries += [variable["query"] for variable in board["templating"]["list"]]
    # As the role that the page on monitoring has an admin make, which may read no more than that.
    page = (CONFIGURATION.parents[1] / "docs" / "operations" / "monitoring.md").read_text()
    connection = await asyncpg.connect(plain)
    role = connection.transaction()
    await role.start()
    try:
        await connection.execute(page.partition("```sql\n")[2].partition("```")[0])
        await connection.execute("set role footlight_grafana")
        for text in queries:
            filled = re.sub(r"\$__timeFilter\(([a-z.]+)\)", r"\1 > now() - interval '1 hour'", text)
            assert await connection.fetch(filled.replace("$stream", "0")) is not None
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("select email from users")
    finally:
        await role.rollback()
        await connection.close()


def test_logs_are_objects_that_name_their_request(instance: RunningInstance) -> None:
    given = "monitoring-request-1"
    httpx.get(f"{instance.url}/api/v1/instance", headers={"X-Request-ID": given}).raise_for_status()
    ids = set()
    for name in SERVICES:
        whole, _, _ = (instance.data / "logs" / f"{name}.log").read_text().rpartition("\n")
        for line in whole.splitlines():
            entry = json.loads(line)
            assert entry["service"] == name
            assert {"time", "level", "event"} <= entry.keys()
            if entry["event"] == "request":
                assert entry["request_id"]
                ids.add(entry["request_id"])
    # The edge numbers requests itself: what a client claims is not believed.
    assert ids and given not in ids
    whole, _, _ = (instance.data / "logs" / "edge.log").read_text().rpartition("\n")
    told = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    assert ids & {entry["request_id"] for entry in told if entry["path"] == "/api/v1/instance"}


def test_the_admin_page_shows_what_the_services_measure(instance: RunningInstance) -> None:
    password = (instance.data / "secrets" / "admin_password").read_text().strip()
    with httpx.Client(base_url=f"{instance.url}/api/v1") as client:
        login = client.post("/auth/login", json={"login": "admin", "password": password})
        bearer = {"Authorization": f"Bearer {login.raise_for_status().json()['access_token']}"}
        found = client.get("/admin/overview", headers=bearer).raise_for_status().json()
    disks = {disk["name"]: disk["total_bytes"] for disk in found["machine"]["disks"]}
    assert disks.keys() == {"data", "spool", "media"} and all(disks.values())
    assert found["spool"]["limit_bytes"] > 0
    assert all(service["ready"] for service in found["services"])


def test_alert_rules_fire_when_they_should(toolchain: Toolchain) -> None:
    promtool = toolchain.program("promtool")
    for arguments in (
        ("check", "config", str(CONFIGURATION / "prometheus.yml")),
        ("test", "rules", str(CONFIGURATION / "tests" / "alerts_test.yml")),
    ):
        result = subprocess.run(
            [str(promtool.path), *arguments], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
