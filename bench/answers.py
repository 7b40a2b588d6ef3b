"""Whether what a running instance is asked by our dashboards and alert rules has an answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

import asyncpg
from sqlalchemy.engine import make_url

from bench.instance import Instance
from bench.prometheus import Prometheus, alerts, panels

_RECENTLY = r"\1 > now() - interval '1 hour'"


@dataclass(frozen=True)
class Answers:
    """How many of the queries of one kind there are, and where those stand that have no answer."""

    kind: str
    asked: int
    empty: list[str]

    def __str__(self) -> str:
        found = f"{self.asked - len(self.empty)} of {self.asked} {self.kind} have data"
        return found + (f"; none: {', '.join(self.empty)}" if self.empty else "")


async def answers(prometheus: Prometheus, instance: Instance, session: str) -> list[Answers]:
    """Ask everything: Prometheus, and PostgreSQL for the page of one stream."""
    found = [
        Answers(kind, len(queries), await prometheus.without_data(queries))
        for kind, queries in (
            ("panels' queries to Prometheus", panels()),
            ("alerts' expressions", alerts()),
        )
    ]
    return [*found, await _of_one_stream(instance, session)]


async def _of_one_stream(instance: Instance, session: str) -> Answers:
    url = make_url(instance.facts["environment"]["FOOTLIGHT_DATABASE_URL"])
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    queries = panels("grafana-postgresql-datasource")
    empty = []
    connection = await asyncpg.connect(plain)
    try:
        stream = await connection.fetchval("select id from streams where session = $1", session)
        for query in queries:
            text = re.sub(r"\$__timeFilter\(([a-z.]+)\)", _RECENTLY, query.text)
            if not await connection.fetch(text.replace("$stream", str(stream))):
                empty.append(query.place)
    finally:
        await connection.close()
    return Answers("panels' queries to PostgreSQL", len(queries), empty)


async def sick(prometheus: Prometheus) -> list[str]:
    """What is down. Prometheus looks for itself at its usual port, where a benchmark's does not listen."""
    return [
        name
        for name, health in (await prometheus.targets()).items()
        if health != "up" and not name.startswith("prometheus ")
    ]


async def firing(prometheus: Prometheus) -> list[str]:
    """The names of alerts that fire."""
    answer = await prometheus.client.get("/api/v1/alerts")
    found = {
        a["labels"]["alertname"] for a in answer.json()["data"]["alerts"] if a["state"] == "firing"
    }
    return sorted(found)
