"""Where a Prometheus on this machine finds the processes of `up`, once FOOTLIGHT_METRICS_PORT is set.

They listen on unix sockets, which Prometheus cannot ask. Each gets a port of its own, the same at every
start, and a file says which, in the form of Prometheus's file_sd_configs.
"""

from __future__ import annotations

from collections.abc import Sequence

TARGETS_FILE = "prometheus-targets.json"
HOST = "127.0.0.1"
# In the order of their ports; chat, of which there may be many, comes last.
_FIXED = ("edge", "api", "ingest", "recorder", "worker")


def address(first: int, name: str) -> str:
    """`host:port` of a process called `edge`, `api`, … `chat`, `chat-2`, …; "" when there is no first port."""
    if not first:
        return ""
    if name in _FIXED:
        return f"{HOST}:{first + _FIXED.index(name)}"
    number = int(name.removeprefix("chat").removeprefix("-") or 1)
    return f"{HOST}:{first + len(_FIXED) + number - 1}"


def targets(first: int, names: Sequence[str]) -> list[dict[str, object]]:
    """What to scrape: each process with the `job` that rules and dashboards know it by."""
    return [
        {"targets": [address(first, name)], "labels": {"job": name.partition("-")[0]}}
        for name in names
    ]
