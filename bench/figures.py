"""The figures of a soak: what a round is described by, and which of them have to stay flat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.chat import percentile
from bench.holdings import PASSING, SERVICES, Holdings
from bench.trend import Trend

MB = 1e6
#: Has a line in its memory for every object: what it takes goes with what is kept. `up` bounds it.
LISTS_OBJECTS = "s3"
#: What is to stay flat: by what share of its median it may grow over the run, and how little is no growth.
FLAT = {
    "memory, MB": (0.05, 0.0),
    "open files": (0.05, 0.0),
    "disk without what is kept, MB": (0.10, 0.0),
    "part p50, ms": (0.25, 2.0),
    "part p99, ms": (0.50, 20.0),
    "chat p50, ms": (0.25, 2.0),
    "chat p99, ms": (0.50, 20.0),
    "API p50, ms": (0.25, 2.0),
    "API p99, ms": (0.50, 20.0),
    "processor, cores": (0.15, 0.0),
    **{f"memory of {name}, MB": (0.10, 4.0) for name in SERVICES if name != LISTS_OBJECTS},
}
#: What grows, for it is kept.
KEPT = (
    "videos, MB",
    "database, MB",
    "logs, MB",
    "write-ahead log, MB",
    "shared memory, MB",
    f"memory of {LISTS_OBJECTS}, MB",
)


def trends(rounds: Sequence[Mapping[str, float]], warm_up: float) -> list[Trend]:
    """The line through each figure that there is; `warm_up` in minutes."""
    found = []
    for name in (*FLAT, *KEPT):
        points = [(each["minutes"], each[name]) for each in rounds if name in each]
        if points:
            found.append(Trend(name, points, warm_up, *FLAT.get(name, (None, 0.0))))
    return found


def amounts(now: Holdings) -> dict[str, float]:
    """Memory, files and disk as figures of a round."""
    services = now.services.values()
    working = (each for name, each in now.services.items() if name != LISTS_OBJECTS)
    passing = sum(now.disk.get(name, 0) for name in (*PASSING, "media"))
    return {
        "memory, MB": round(sum(each.memory for each in working) / MB, 1),
        "shared memory, MB": round(sum(each.shared for each in services) / MB, 1),
        "open files": sum(each.files for each in services),
        "disk without what is kept, MB": round(passing / MB, 2),
        **{f"memory of {name}, MB": round(s.memory / MB, 2) for name, s in now.services.items()},
        **{f"open files of {name}": s.files for name, s in now.services.items()},
        **{f"{name}, MB": round(held / MB, 2) for name, held in now.disk.items()},
    }


def processor(before: Holdings, now: Holdings, seconds: float) -> dict[str, float]:
    """Cores that services used since the round before."""
    used = {
        name: (each.cpu_s - before.services[name].cpu_s) / seconds
        for name, each in now.services.items()
        if name in before.services
    }
    return {
        "processor, cores": round(sum(used.values()), 3),
        **{f"processor of {name}, cores": round(cores, 3) for name, cores in used.items()},
    }


def latency(what: str, seconds: list[float]) -> dict[str, float]:
    """Milliseconds; nothing when there is none."""
    if not seconds:
        return {}
    return {
        f"{what} p50, ms": round(percentile(seconds, 0.5) * 1000, 2),
        f"{what} p99, ms": round(percentile(seconds, 0.99) * 1000, 2),
    }
