"""What a running instance holds: memory, open files and processor time by service, disk by folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.instance import Instance
from cli.instance import Layout

SERVICES = ("api", "ingest", "recorder", "chat", "edge", "rtmp", "postgres", "redis", "nats", "s3")
#: Folders of the data folder that are to stay of one size, however long it runs: what they hold comes and goes.
PASSING = ("spool", "redis", "nats", "edge", "rtmp", "run", "work")
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Holding:
    """What one service and its descendants hold. Bytes and seconds.

    `memory` is the proportional set size without shared memory of a fixed size, whose pages count once they
    are touched (PostgreSQL's buffers, the edge's dictionaries); `shared` is that.
    """

    memory: int = 0
    shared: int = 0
    files: int = 0
    cpu_s: float = 0.0


@dataclass
class Holdings:
    """The whole instance at one moment. `disk` is bytes by folder."""

    services: dict[str, Holding] = field(default_factory=dict)
    disk: dict[str, int] = field(default_factory=dict)


def held(instance: Instance) -> Holdings:
    """Look through /proc and the data folder: some tenths of a second."""
    running = instance.facts["services"]
    processes = _processes()
    found = Holdings()
    for name in SERVICES:
        if name in running:
            found.services[name] = _held_by(int(running[name]["pid"]), processes)
    data = instance.data
    wal = data / "postgres" / "pg_wal"
    found.disk = {name: size(data / name) for name in PASSING if (data / name).exists()}
    found.disk["media"] = size(Layout.of(data).media)
    found.disk["write-ahead log"] = size(wal)
    found.disk["database"] = size(data / "postgres") - found.disk["write-ahead log"]
    found.disk["logs"] = size(data / "logs")
    found.disk["videos"] = size(data / "s3")
    return found


def _processes() -> dict[int, tuple[list[int], float]]:
    """Children and processor seconds of every process; those of children that ended are in their parent's."""
    found: dict[int, tuple[list[int], float]] = {}
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            pid = int(entry.name)
            parents[pid] = int(fields[1])
            found[pid] = [], sum(int(each) for each in fields[11:15]) / _TICK
    for pid, parent in parents.items():
        if parent in found:
            found[parent][0].append(pid)
    return found


def _held_by(pid: int, processes: Mapping[int, tuple[list[int], float]]) -> Holding:
    found = Holding()
    family = [pid]
    for member in family:
        children, seconds = processes.get(member, ([], 0.0))
        family += children
        found.cpu_s += seconds
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            found.files += len(os.listdir(f"/proc/{member}/fd"))
            sizes = _rollup(member)
            found.shared += sizes["Pss_Shmem"]
            found.memory += sizes["Pss"] - sizes["Pss_Shmem"]
    return found


def _rollup(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def size(folder: Path) -> int:
    """Bytes below a folder from which files go meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
