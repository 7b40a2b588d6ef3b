"""Dashboards and alert rules as files: complete, of one form, and with a runbook each."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bench.prometheus import DASHBOARDS, Query, alerts, panels, rules
from cli.scraping import address, targets

ROOT = DASHBOARDS.parent
BOARDS = sorted(DASHBOARDS.glob("*.json"))
RUNBOOKS = ROOT / "docs" / "operations" / "monitoring.md"
PROVISIONING = ROOT / "infra" / "grafana" / "provisioning"
# Names that would make a series for each stream, account or room.
UNBOUNDED = re.compile(
    r"\b(id|session|stream|stream_id|channel|channel_id|room|login|user|user_id|video|key|address|node)\b"
)


def test_the_dashboards_that_an_admin_needs() -> None:
    assert {file.stem for file in BOARDS} == {
        *("overview", "live", "chat", "recorder", "edge", "stream"),
    }


@pytest.mark.parametrize("file", BOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_complete(file: Path) -> None:
    board = json.loads(file.read_text())
    assert board["uid"] == f"footlight-{file.stem}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    sources = {source["uid"] for source in _sources()}
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} <= sources
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24
        taken |= cells


def _sources() -> list[dict[str, object]]:
    found = yaml.safe_load((PROVISIONING / "datasources" / "footlight.yml").read_text())
    sources: list[dict[str, object]] = found["datasources"]
    return sources


@pytest.mark.parametrize("query", [*panels(), *alerts()], ids=lambda query: query.place)
def test_no_query_asks_for_ids(query: Query) -> None:
    for labels in re.findall(r"\bby \(([^)]*)\)|\{([^}]*)\}", query.text):
        assert not UNBOUNDED.search(" ".join(labels).replace("instance", "")), query.text
    assert query.metrics


def test_every_alert_says_what_to_do_and_is_tested() -> None:
    page = RUNBOOKS.read_text()
    headings = {line[3:].strip().lower() for line in page.splitlines() if line.startswith("## ")}
    tried = (ROOT / "infra" / "prometheus" / "tests" / "alerts_test.yml").read_text()
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        name = rule["alert"]
        assert rule["annotations"]["runbook_url"] == (
            f"{{{{ $externalLabels.docs }}}}docs/operations/monitoring.md#{name.lower()}"
        )
        assert name.lower() in headings, f"{RUNBOOKS} has no section on {name}"
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")
        assert f'alertname="{name}"' in tried, f"{name} is not tried"


def test_ids_in_logs_are_searched_by_and_are_no_labels() -> None:
    pipeline = (ROOT / "infra" / "loki" / "pipeline.alloy").read_text()

    def fields(stage: str) -> set[str]:
        block = re.search(stage + r" \{\s*\w+ = \{([^}]*)\}", pipeline)
        assert block is not None, stage
        return set(re.findall(r"(\w+) =", block[1]))

    ids = fields("stage.structured_metadata")
    assert {"request_id", "session", "channel_id"} <= ids
    assert fields("stage.labels") == {"service", "level"}
    assert fields("stage.json") == {"service", "level", "time", *ids}
    logs = RUNBOOKS.read_text().partition("## Logs")[2].partition("# Runbooks")[0]
    assert {name for name in ids if f"`{name}`" not in logs} == set()


def test_without_containers_no_file_names_their_hosts() -> None:
    """What the page has an admin do to the files."""
    page = RUNBOOKS.read_text().partition("## Without containers")[2].partition("\n## ")[0]
    found = re.search(r"^here\(\) \{ sed -E '(.+)' \"\$1\"; \}$", page, re.MULTILINE)
    assert found is not None
    infra = ROOT / "infra"
    changed = [infra / "prometheus/prometheus.yml", *PROVISIONING.glob("*/footlight.yml")]
    changed += [infra / "loki/pipeline.alloy", infra / "loki/journal.alloy"]
    for file in changed:
        command = ["sed", "-E", found[1], str(file)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        # Where a host stands.
        assert not re.search(
            r"(://|\[\"|names: \[)(prometheus|alertmanager|loki|worker)\b", text
        ), file


def test_targets_under_systemd_are_where_the_units_listen() -> None:
    found = {}
    for file in (ROOT / "infra/systemd/targets").glob("*.json"):
        for group in json.loads(file.read_text()):
            found[group["labels"]["job"]] = group["targets"]
    units = {
        file.stem.removeprefix("footlight-"): re.findall(
            r"^Environment=FOOTLIGHT_METRICS_LISTEN=(.+)$", file.read_text(), re.MULTILINE
        )
        for file in (ROOT / "infra/systemd").glob("*.service")
    }
    assert found == {name: addresses for name, addresses in units.items() if addresses}
    # As `up` has them.
    assert found == {name: [address(19100, name)] for name in found}


def test_every_process_has_a_port_of_its_own() -> None:
    names = ["edge", "api", "ingest", "recorder", "worker", "chat", "chat-2", "chat-64"]
    found = targets(9100, names)
    addresses = [str(each["targets"]) for each in found]
    assert len(set(addresses)) == len(names)
    assert addresses[0] == "['127.0.0.1:9100']"
    assert found[-1] == {"targets": ["127.0.0.1:9168"], "labels": {"job": "chat"}}
    assert address(0, "api") == ""
