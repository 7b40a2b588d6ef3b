"""What ingest measures over all sessions."""

from __future__ import annotations

import os
from pathlib import Path

from core.metrics import Metrics
from ingest import spool_files
from ingest.metrics import IngestMetrics


def test_the_slowest_of_all_ladders_counts_while_it_runs() -> None:
    metrics = Metrics()
    ingest = IngestMetrics(metrics)

    def speed() -> str:
        lines = metrics.exposition().decode().splitlines()
        return next(
            line for line in lines if line.startswith("footlight_ingest_ladder_speed_ratio ")
        )

    assert speed().endswith(" 1.0")
    ingest.pace("slow", 0.5)
    ingest.pace("quick", 1.0)
    assert speed().endswith(" 0.5")
    ingest.pace("slow", None)
    ingest.pace("never", None)
    assert speed().endswith(" 1.0")


def test_the_oldest_segment_of_a_spool(tmp_path: Path) -> None:
    assert spool_files.measure(tmp_path) == (0, None)
    folder = tmp_path / "session" / "source"
    folder.mkdir(parents=True)
    for name, size, at in (("1.m4s", 10, 3000), ("0.m4s", 20, 2000), ("0.json", 5, 1000)):
        (folder / name).write_bytes(bytes(size))
        os.utime(folder / name, (at, at))
    assert spool_files.measure(tmp_path) == (35, 2000)
