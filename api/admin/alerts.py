"""What somebody who runs the instance should look at. Pure.

The alert rules of `infra/prometheus/alerts.yml`, under their names and with their limits, as far as one moment
can tell: Prometheus also waits until something has lasted, and knows what was before. A test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["warning", "critical"]

CRITICAL = frozenset(
    {
        "ServiceDown",
        "RtmpDown",
        "DependencyDown",
        "PlaylistsStale",
        "EdgeMemoryLow",
        "ArchiveStuck",
        "DiskNearlyFull",
        "BackupFailed",
    }
)
#: More than this is too much.
MOST = {
    "OutboxWaits": 30.0,
    "PlaylistsStale": 5.0,
    "SpoolFills": 0.6,
    "SpoolOld": 60.0,
    "ArchiveStuck": 60.0,
    "JobsWait": 1800.0,
    "ChatUnwritten": 1000.0,
    "BackupOld": 2.0,
    "BackupMissing": 24 * 3600.0,
    "Overloaded": 1.5,
    "EdgeConnectionsRunOut": 0.8,
}
#: Less than this is too little.
LEAST = {"EdgeMemoryLow": 4e6, "MemoryLow": 0.1, "DiskLow": 0.15, "DiskNearlyFull": 0.05}

_WORDS = {
    "OutboxWaits": "Events have waited {0:.0f} s for NATS.",
    "PlaylistsStale": "A live stream's playlist is {0:.0f} s old: its viewers stall.",
    "SpoolFills": "{0:.0%} of the spool is used; at 80 % no new recording begins.",
    "SpoolOld": "A segment has waited {0:.0f} s for the object storage.",
    "ArchiveStuck": "Nothing was stored for {0:.0f} s while segments wait.",
    "JobsWait": "A job has waited {0:.0f} s for a worker.",
    "ChatUnwritten": "{0:.0f} chat messages wait for PostgreSQL.",
    "BackupOld": "Since the last good backup {0:.1f} times the time between two has passed.",
    "BackupMissing": "No backup was ever taken of what is here since {0:.0f} s.",
    "Overloaded": "The machine has {0:.1f} times the work it can do.",
    "MemoryLow": "{0:.0%} of the machine's memory is left.",
    "EdgeConnectionsRunOut": "{0:.0%} of the connections that the edge may have are in use.",
    "EdgeMemoryLow": "The edge has {0:.0f} bytes left for playlists.",
}


@dataclass(frozen=True)
class Alert:
    """One thing to look at. `code` is stable, `message` is for people."""

    code: str
    message: str

    @property
    def severity(self) -> Severity:
        """How urgent it is."""
        return "critical" if self.code in CRITICAL else "warning"


@dataclass(frozen=True)
class Figures:
    """What is known at a moment.

    `silent`: services that do not answer; `missed`: servers that api does not reach; `values`: of rules in
    MOST and LEAST, where they are known; `disks`: free share by folder. `backup_ok` is None when none was ever taken.
    """

    silent: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    rtmp: bool = True
    values: Mapping[str, float] = field(default_factory=dict)
    disks: Mapping[str, float] = field(default_factory=dict)
    backup_ok: bool | None = None


def alerts_of(figures: Figures) -> list[Alert]:
    """What is wrong, the most urgent first."""
    found = [*_parts(figures), *_limits(figures), *_disks(figures), *_others(figures)]
    return sorted(found, key=lambda alert: alert.severity != "critical")


def _parts(figures: Figures) -> Iterator[Alert]:
    for name in figures.silent:
        yield Alert("ServiceDown", f"{name} does not answer.")
    for name in figures.missed:
        yield Alert("DependencyDown", f"api does not reach {name}.")
    if not figures.rtmp:
        yield Alert(
            "RtmpDown", "nginx (ingest) does not answer: nobody can begin or go on with a stream."
        )


def _limits(figures: Figures) -> Iterator[Alert]:
    for code, value in figures.values.items():
        if value > MOST.get(code, value) or value < LEAST.get(code, value):
            yield Alert(code, _WORDS[code].format(value))


def _disks(figures: Figures) -> Iterator[Alert]:
    for folder, free in figures.disks.items():
        # The more urgent of the two says it all.
        code = next((c for c in ("DiskNearlyFull", "DiskLow") if free < LEAST[c]), None)
        if code is not None:
            yield Alert(code, f"The file system of the {folder} folder has {free:.0%} left.")


def _others(figures: Figures) -> Iterator[Alert]:
    if figures.backup_ok is False:
        yield Alert("BackupFailed", "The last backup could not be taken.")
