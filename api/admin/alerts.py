"""What somebody who runs the instance should look at. Pure.

The same conditions as the alert rules for Prometheus, as far as one moment can tell: those rules also wait
until something has lasted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["warning", "critical"]

OUTBOX_S = 30.0
JOBS_S = 1800.0
SPOOL_S = 120.0
SPOOL_SHARE = 0.8
#: Free share of a disk below which a new video, and then a new stream, is soon refused.
DISK_LOW, DISK_FULL = 0.15, 0.05
LOAD = 1.5
BACKUP_S = 36 * 3600.0


@dataclass(frozen=True)
class Alert:
    """One thing to look at. `code` is stable, `message` is for people."""

    code: str
    severity: Severity
    message: str


@dataclass(frozen=True)
class Figures:
    """What is known at a moment. `down`: parts that do not answer; `disks`: (free, total) bytes by name;
    `load`: processes per core. No backup was ever made when its figures are None.
    """

    down: tuple[str, ...] = ()
    outbox_age_s: float = 0.0
    jobs_age_s: float = 0.0
    spool_bytes: int = 0
    spool_limit_bytes: int = 0
    spool_age_s: float = 0.0
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    load: float = 0.0
    backup_ok: bool | None = None
    backup_age_s: float | None = None


def alerts_of(figures: Figures) -> list[Alert]:
    """What is wrong, the most urgent first."""
    found = [*_parts(figures), *_queues(figures), *_machine(figures), *_backup(figures)]
    return sorted(found, key=lambda alert: alert.severity != "critical")


def _parts(figures: Figures) -> Iterator[Alert]:
    for name in figures.down:
        yield Alert("down", "critical", f"{name} does not answer.")


def _queues(figures: Figures) -> Iterator[Alert]:
    if figures.outbox_age_s > OUTBOX_S:
        yield Alert(
            "outbox_waits",
            "warning",
            f"Events have waited for NATS for {figures.outbox_age_s:.0f} s: other parts do not hear of "
            "what happens.",
        )
    if figures.jobs_age_s > JOBS_S:
        yield Alert(
            "jobs_wait",
            "warning",
            f"A job has waited for {figures.jobs_age_s / 60:.0f} min: more workers are needed.",
        )
    if figures.spool_age_s > SPOOL_S:
        yield Alert(
            "spool_waits",
            "warning",
            f"Segments have waited for the object storage for {figures.spool_age_s:.0f} s.",
        )
    if figures.spool_limit_bytes and (
        figures.spool_bytes > SPOOL_SHARE * figures.spool_limit_bytes
    ):
        yield Alert(
            "spool_full", "critical", "The spool is nearly full: no new recording will begin."
        )


def _machine(figures: Figures) -> Iterator[Alert]:
    for name, (free, total) in figures.disks.items():
        share = free / total if total else 1.0
        if share < DISK_FULL:
            yield Alert("disk_full", "critical", f"The disk of the {name} folder is full.")
        elif share < DISK_LOW:
            yield Alert(
                "disk_low", "warning", f"The disk of the {name} folder has {share:.0%} left."
            )
    if figures.load > LOAD:
        yield Alert(
            "overloaded", "warning", f"The machine has {figures.load:.1f} times the work it can do."
        )


def _backup(figures: Figures) -> Iterator[Alert]:
    if figures.backup_ok is False:
        yield Alert("backup_failed", "critical", "The last backup failed.")
    elif figures.backup_age_s is not None and figures.backup_age_s > BACKUP_S:
        hours = figures.backup_age_s / 3600
        yield Alert("backup_old", "warning", f"The last backup is {hours:.0f} hours old.")
