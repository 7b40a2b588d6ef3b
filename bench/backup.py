"""Backup, wipe and restore of a whole instance: how long, how large, beside a plain copy of the same bytes."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg

from bench.catalogue_data import Size, fill
from bench.instance import ROOT, Instance, running_instance
from bench.report import Report, arguments
from bench.vod import settings_of
from cli.schedule import plain_url
from core.storage import open_storage

#: As large as two seconds of 3 Mb/s.
OBJECT_BYTES = 750_000
AT_ONCE = 8
PASSPHRASE = "correct horse battery staple"  # noqa: S105 (of archives that are thrown away)
_COUNTS = "select (select count(*) from videos), (select count(*) from video_messages)"


@dataclass(frozen=True)
class Run:
    """What one command took."""

    seconds: float
    processor_s: float
    memory_mb: float


def run(*command: str) -> Run:
    """Run it to its end. Raises RuntimeError with what it said when it fails."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        # Of this one process and those that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)}:\n{output.read().decode(errors='replace')}")
    processor = usage.ru_utime + usage.ru_stime
    return Run(time.monotonic() - began, processor, usage.ru_maxrss / 1024)


def footlight(*command: str) -> Run:
    """One of our own commands."""
    return run(sys.executable, "-P", "-m", "cli", *command)


async def connect(instance: Instance) -> asyncpg.Connection:
    """To its database, without the services' limits of time."""
    url = str(instance.facts["environment"]["FOOTLIGHT_DATABASE_URL"])
    return await asyncpg.connect(plain_url(url))


async def counted(instance: Instance) -> tuple[int, ...]:
    """Rows and objects."""
    connection = await connect(instance)
    try:
        rows = tuple(await connection.fetchrow(_COUNTS))
    finally:
        await connection.close()
    async with open_storage(settings_of(instance)) as storage:
        return *rows, len([each async for each in storage.each("bench/")])


async def filled(instance: Instance, options: argparse.Namespace) -> tuple[int, ...]:
    """A catalogue with a chat, and objects beside it."""
    await fill(lambda: connect(instance), Size(options.videos, options.messages))
    connection = await connect(instance)
    # Made without a log; real ones have one, and a restore writes it.
    await connection.execute("alter table video_messages set logged")
    await connection.close()
    names: Iterator[int] = iter(range(options.megabytes * 1_000_000 // OBJECT_BYTES))
    data = [secrets.token_bytes(OBJECT_BYTES) for _ in range(8)]
    async with open_storage(settings_of(instance)) as storage:

        async def store() -> None:
            for number in names:
                await storage.put(f"bench/{number:06}.m4s", data[number % len(data)])

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(store())
    return await counted(instance)


def size_of(*folders: Path) -> int:
    """Bytes of all files."""
    files = itertools.chain.from_iterable(folder.rglob("*") for folder in folders)
    return sum(path.stat().st_size for path in files if path.is_file())


class Bench:
    """Archives of one instance, and what each step took."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.options = options
        self.archives = {"plain": folder / "plain.tar", "encrypted": folder / "encrypted.tar.age"}
        self.times: dict[str, list[Run]] = {}
        # What a backup is made of, bytes, and what a plain copy of it takes, seconds.
        self.bytes = 0
        self.copies: list[float] = []
        self._folder = folder
        self._passphrase = folder / "passphrase"
        self._passphrase.write_text(PASSPHRASE + "\n")

    def options_of(self, kind: str) -> tuple[str, ...]:
        """Of a command that makes or reads an archive."""
        return ("--passphrase-file", str(self._passphrase)) if kind == "encrypted" else ()

    def back_up(self, instance: Instance) -> None:
        """Both kinds, and the copy, by turns."""
        folders = [instance.data / name for name in ("s3", "postgres")]
        self.bytes = size_of(*folders)
        for _ in range(self.options.times):
            self.copies.append(self._copy(folders))
            for kind, archive in self.archives.items():
                taken = footlight(
                    "backup", "--data", str(instance.data), *self.options_of(kind), str(archive)
                )
                self.times.setdefault(f"backup, {kind}", []).append(taken)

    def _copy(self, folders: list[Path]) -> float:
        """`cp`, to the disk as a backup is."""
        copy = self._folder / "copy"
        copy.mkdir()
        began = time.monotonic()
        run("cp", "-r", "--reflink=never", *map(str, folders), str(copy))
        run("sync", "--file-system", str(copy))
        taken = time.monotonic() - began
        shutil.rmtree(copy)
        return taken

    async def restore(self, kind: str, expected: tuple[int, ...]) -> None:
        """Into an empty folder, and look whether everything is there."""
        data = self._folder / "restored"
        for number in range(self.options.times):
            command = ("restore", "--data", str(data), *self.options_of(kind))
            restored = footlight(*command, str(self.archives[kind]))
            self.times.setdefault(f"restore, {kind}", []).append(restored)
            if number + 1 == self.options.times:
                await self._start(data, kind, expected)
            shutil.rmtree(data)

    async def _start(self, data: Path, kind: str, expected: tuple[int, ...]) -> None:
        began = time.monotonic()
        async with running_instance({}, data) as instance:
            ready = Run(time.monotonic() - began, 0, 0)
            self.times.setdefault(f"first start after it, {kind}", []).append(ready)
            if (found := await counted(instance)) != expected:
                raise RuntimeError(f"restored {found}, expected {expected}")

    def rows(self) -> Iterator[dict[str, object]]:
        """The table."""
        copy = median(self.copies)
        yield {"what": "cp and sync of the same files", **self._row(copy, None)}
        for what, runs in self.times.items():
            seconds = median(each.seconds for each in runs)
            archive = self.archives[what.rpartition(" ")[2]]
            if "start" in what:
                yield {"what": what, "s": round(seconds, 1)}
                continue
            yield {
                "what": what,
                **self._row(seconds, copy),
                "archive MB": round(archive.stat().st_size / 1e6),
                "processor s": round(median(each.processor_s for each in runs), 1),
                "memory MB": round(max(each.memory_mb for each in runs)),
            }

    def _row(self, seconds: float, copy: float | None) -> dict[str, object]:
        row: dict[str, object] = {
            "s": round(seconds, 1),
            "MB/s": round(self.bytes / 1e6 / seconds),
        }
        return row if copy is None else {**row, "÷ cp": round(seconds / copy, 1)}


async def measure(options: argparse.Namespace) -> Report:
    """The whole benchmark."""
    report = Report("backup", "Backup, wipe and restore of a whole instance")
    with tempfile.TemporaryDirectory(prefix="footlight-bench-") as folder:
        bench = Bench(Path(folder), options)
        async with running_instance({}) as instance:
            expected = await filled(instance, options)
            await asyncio.to_thread(bench.back_up, instance)
        # All of it is gone with the instance's folder.
        for kind in bench.archives:
            await bench.restore(kind, expected)
        for row in bench.rows():
            report.row(row)
    report.condition(
        f"{expected[2]:,} objects of {OBJECT_BYTES / 1e3:.0f} KB, {expected[0]:,} videos and {expected[1]:,} "
        f"messages: {bench.bytes / 1e6:,.0f} MB of files in all; median of {options.times}"
    )
    report.condition(
        "a backup is read back and compared, a restore reads the archive twice; archive, storage and "
        "database are on one disk, and mostly in the memory of its cache"
    )
    report.condition("memory is of the largest process of a command; processor of all of them")
    return report


def main() -> None:
    parser = arguments("backup", __doc__)
    parser.add_argument("--megabytes", type=int, default=1000, help="of objects (default 1000)")
    parser.add_argument("--videos", type=int, default=1000, help="rows (default 1000)")
    parser.add_argument("--messages", type=int, default=100_000, help="rows (default 100000)")
    parser.add_argument("--times", type=int, default=3, help="repetitions of each (default 3)")
    options = parser.parse_args()
    asyncio.run(measure(options)).show(options)


if __name__ == "__main__":
    main()
