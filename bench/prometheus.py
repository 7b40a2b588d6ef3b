"""A Prometheus of a benchmark's own over a running instance, and what our dashboards and rules ask of one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from bench.instance import ROOT
from cli.instance import free_port
from cli.toolchain import Toolchain

CONFIGURATION = ROOT / "infra" / "prometheus"
DASHBOARDS = ROOT / "dashboards"
#: What Grafana puts for its own variable at our scrape interval of 15 s.
RATE_INTERVAL = "1m"
READY_S = 30.0
# Each alert is a query and one comparison with a number (infra/prometheus/alerts.yml).
_COMPARISON = re.compile(r"\s(?:==|!=|>=|<=|>|<)\s+-?[\d.e]+$")
# Names of ours, and those that our client library and Prometheus itself make.
_METRIC = re.compile(
    r"\b(?:footlight_[a-z0-9_]+|process_[a-z0-9_]+|python_[a-z0-9_]+|up|ALERTS)\b(?!\s*\()"
)
_LABELS = re.compile(r"\{[^}]*\}|\b(?:by|without|on)\s*\([^)]*\)")


@dataclass(frozen=True)
class Query:
    """Something that is asked: where it stands, and the expression."""

    place: str
    text: str

    @property
    def metrics(self) -> set[str]:
        """The metrics that it names."""
        return set(_METRIC.findall(_LABELS.sub("", self.text)))


def panels(kind: str = "prometheus") -> list[Query]:
    """The queries of all dashboards' panels to one kind of source, Grafana's variables filled in."""
    field = "rawSql" if kind.endswith("postgresql-datasource") else "expr"
    return [
        Query(
            f"{file.stem}: {panel['title']} {target['refId']}",
            target[field].replace("$__rate_interval", RATE_INTERVAL),
        )
        for file in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    ]


def rules() -> list[dict[str, Any]]:
    """The alert rules as they are written."""
    groups = yaml.safe_load((CONFIGURATION / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[Query]:
    """What the alerts compare with their limits. Raises ValueError for one of another form."""
    found = []
    for rule in rules():
        text, count = _COMPARISON.subn("", rule["expr"].strip())
        if not count:
            raise ValueError(f"{rule['alert']} does not end in a comparison with a number")
        found.append(Query(rule["alert"], text))
    return found


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    client: httpx.AsyncClient

    async def value(self, expression: str) -> list[float]:
        """The values of an expression now. Raises httpx's errors for one that is wrong."""
        answer = await self.client.get("/api/v1/query", params={"query": expression})
        answer.raise_for_status()
        return [float(series["value"][1]) for series in answer.json()["data"]["result"]]

    async def without_data(self, queries: list[Query]) -> list[str]:
        """Where queries stand that have no number for an answer."""
        return [
            query.place
            for query in queries
            if all(math.isnan(number) for number in await self.value(query.text))
        ]

    async def targets(self) -> dict[str, str]:
        """What is scraped, by job and address: its health."""
        answer = await self.client.get("/api/v1/targets", params={"state": "active"})
        active = answer.json()["data"]["activeTargets"]
        return {f"{t['labels']['job']} {t['labels']['instance']}": t["health"] for t in active}


@contextlib.asynccontextmanager
async def scraping(targets: Path, folder: Path) -> AsyncIterator[Prometheus]:
    """Run Prometheus with the configuration and rules that we ship; `targets` is what `up` wrote."""
    configuration = folder / "prometheus"
    shutil.copytree(CONFIGURATION, configuration)
    for other in (configuration / "targets").glob("*.json"):
        other.unlink()
    shutil.copy(targets, configuration / "targets" / "instance.json")
    program = Toolchain.from_environment().program("prometheus")
    port = free_port(set())
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(program.path),
            f"--config.file={configuration / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{port}",
            env={**os.environ, **program.environment},
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await _ready(process, client, folder / "prometheus.log")
            yield Prometheus(client)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process, client: httpx.AsyncClient, log: Path) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            if process.returncode is not None:
                words = log.read_text()[-2000:]  # noqa: ASYNC240 (nothing else runs)
                raise RuntimeError(f"Prometheus did not start:\n{words}")
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/-/ready")).status_code == httpx.codes.OK:
                    return
            await asyncio.sleep(0.1)
