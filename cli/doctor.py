"""`footlight doctor`: is this machine fit, and how is what is wrong mended."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import platform
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cli import own_servers
from cli.checkup import backups, certificate, checkup, mistyped, secret_files
from cli.connection import settings_of_environment
from cli.debian import Distribution, PackagesUnavailable, PrivateApt, read_manifest
from cli.findings import Finding, Verdict
from cli.instance import (
    Layout,
    SetupError,
    lock_holder,
    port_problem,
    read_instance,
    shown,
)
from cli.services import FREE_DISK_BYTES
from cli.toolchain import MissingProgram, Toolchain, default_data
from core import logs
from ingest.ffmpeg import Encoder, encoder_probe

MEDIA_BYTES = 512 << 20
OPEN_FILES = 4096
# adjtimex(2) returns this when nothing keeps the clock in step.
TIME_ERROR = 5


def main(arguments: argparse.Namespace) -> int:
    """Print every finding; 1 when something keeps Footlight from running well, else 0."""
    data = (arguments.data or default_data(os.environ)).absolute()
    toolchain = Toolchain.from_environment()
    bad = False
    own = "FOOTLIGHT_DATABASE_URL" in os.environ and lock_holder(data) is None
    found = findings_without_up() if own else findings(data, toolchain, arguments)
    for finding in found:
        bad = bad or finding.verdict is Verdict.BAD
        print(f"{finding.verdict.value:<5} {finding.title:<18} {finding.detail}", flush=True)
        if finding.mend:
            print(f"{'':<24} → {finding.mend}", flush=True)
    return 1 if bad else 0


def findings(data: Path, toolchain: Toolchain, arguments: argparse.Namespace) -> Iterator[Finding]:
    """Every check for an instance of `up`, the quick ones first."""
    yield machine()
    yield disk(data)
    yield memory_disk(Layout.of(data))
    yield open_files()
    yield clock()
    yield from ports(data, arguments)
    yield from checkup(Layout.of(data), toolchain)
    yield from programs(toolchain)
    try:
        yield from encoders(str(toolchain.ffmpeg()))
    except MissingProgram as problem:
        yield Finding(Verdict.BAD, "ffmpeg", str(problem))
    yield updates(toolchain)


def findings_without_up() -> Iterator[Finding]:
    """Every check where the settings name servers of one's own, as with systemd and in containers."""
    yield machine()
    yield open_files()
    yield clock()
    yield from mistyped()
    try:
        settings = settings_of_environment()
    except SetupError as problem:
        yield Finding(Verdict.BAD, "Settings", *str(problem).rsplit("\n", 1))
        return
    # What is wrong is said below, once.
    logs.configure("doctor", "error")
    layout = Layout(settings.data_dir, settings.run_dir, settings.media_dir)
    yield disk(layout.data)
    yield memory_disk(layout)
    yield from asyncio.run(own_servers.servers(settings))
    yield from secret_files(layout)
    yield from certificate(settings)
    yield backups(layout, settings, running=True)
    yield from encoders(str(settings.ffmpeg_path))


def machine() -> Finding:
    """System, processor, Python."""
    distribution = Distribution.read()
    text = f"{distribution.id} {distribution.version}, {platform.machine()}, Python {platform.python_version()}"
    known = (distribution.id == "debian" and _number(distribution.version) >= 12) or (
        distribution.id == "ubuntu" and _number(distribution.version) >= 24.04
    )
    if known:
        return Finding(Verdict.GOOD, "System", text)
    mend = "Made for Debian 12 and Ubuntu 24.04 or newer; elsewhere: docker compose up"
    return Finding(Verdict.ADVICE, "System", text, mend)


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        # Debian's testing has no number: it is newer than any that has.
        return 1000.0 if not version else 0.0


def disk(data: Path) -> Finding:
    """Room for the data folder."""
    existing = next(folder for folder in (data, *data.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free for {shown(data)}"
    if free >= FREE_DISK_BYTES:
        return Finding(Verdict.GOOD, "Disk", text)
    mend = f"{FREE_DISK_BYTES / 1e9:.1f} GB are needed: free some, or use another disk with --data"
    return Finding(Verdict.BAD, "Disk", text, mend)


def memory_disk(layout: Layout) -> Finding:
    """Room for live media, which should lie in memory."""
    # In a container it is itself what lies in memory.
    folder = layout.media if layout.media.exists() else layout.media.parent
    free = shutil.disk_usage(folder).free if folder.exists() else 0
    text = f"{free / 1e6:.0f} MB free in {folder} for live media"
    if layout.media.is_relative_to(layout.data):
        mend = "Mount a tmpfs at /dev/shm; until then live media is written to disk"
        return Finding(Verdict.ADVICE, "Memory disk", text, mend)
    if free >= MEDIA_BYTES:
        return Finding(Verdict.GOOD, "Memory disk", text)
    mend = f"Enlarge it (mount -o remount,size=1G {folder}), or lower FOOTLIGHT_MEDIA_QUOTA_BYTES"
    return Finding(Verdict.ADVICE, "Memory disk", text, mend)


def open_files() -> Finding:
    """How many connections a server may hold."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit >= OPEN_FILES:
        return Finding(Verdict.GOOD, "Open files", f"limit {limit}")
    mend = "Raise the limit for hundreds of viewers: ulimit -Hn, or LimitNOFILE= in a systemd unit"
    return Finding(Verdict.ADVICE, "Open files", f"limit {limit}", mend)


def clock() -> Finding:
    """Whether something keeps the clock right: tokens and latency readings depend on it."""
    # struct timex is 208 bytes on 64-bit Linux; all zero asks without changing anything.
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    if state not in (-1, TIME_ERROR):
        return Finding(Verdict.GOOD, "Clock", "synchronised")
    mend = "timedatectl set-ntp true (a container or virtual machine may be kept right by its host)"
    return Finding(Verdict.ADVICE, "Clock", "not known to be synchronised", mend)


def ports(data: Path, arguments: argparse.Namespace) -> Iterator[Finding]:
    """Whether the ports of `up` are free, or our own."""
    if lock_holder(data) is not None:
        content = read_instance(data) or {}
        where = ", ".join(str(content[name]) for name in ("http", "rtmp") if name in content)
        yield Finding(
            Verdict.GOOD, "Ports", f"in use by the instance that runs: {where or 'starting'}"
        )
        return
    wanted = (("--http-port", arguments.http_port), ("--rtmp-port", arguments.rtmp_port))
    for option, port in wanted:
        if port_problem(arguments.host, port) is None:
            yield Finding(Verdict.GOOD, "Port", f"{port} is free on {arguments.host}")
        else:
            mend = f"Stop what uses it (ss -ltnp 'sport = :{port}'), or: ./footlight up {option} {port + 1}"
            yield Finding(Verdict.BAD, "Port", f"{port} is not free on {arguments.host}", mend)


def programs(toolchain: Toolchain) -> Iterator[Finding]:
    """Every program that an instance runs, with its version."""
    for name, title in (
        ("postgres", "PostgreSQL"),
        ("redis-server", "Redis"),
        ("nginx", "nginx"),
        ("nats-server", "NATS"),
        ("rclone", "S3 (rclone)"),
    ):
        found = toolchain.find(name)
        if found is None:
            yield Finding(Verdict.BAD, title, "missing", "Run ./footlight up without --no-setup")
        else:
            yield Finding(Verdict.GOOD, title, f"{found.version()}  {found.path}")
    try:
        toolchain.nginx_modules()
    except MissingProgram as problem:
        yield Finding(
            Verdict.BAD, "nginx modules", str(problem), "Run ./footlight up without --no-setup"
        )
    if toolchain.web_root() is None:
        yield Finding(
            Verdict.BAD, "Web pages", "not built", "Run ./footlight up without --no-setup"
        )


def encoders(program: str) -> Iterator[Finding]:
    """Which H.264 encoders of an ffmpeg work for the ladder: each encodes one frame."""
    working = [encoder for encoder in Encoder if _encodes(program, encoder)]
    if Encoder.X264 not in working:
        yield Finding(
            Verdict.BAD,
            "Encoders",
            f"{program} cannot encode H.264",
            "Use another FOOTLIGHT_FFMPEG_PATH",
        )
        return
    text = ", ".join(encoder.value for encoder in working)
    mend = "" if len(working) > 1 else "No hardware encoder: further renditions cost processor time"
    yield Finding(Verdict.GOOD if len(working) > 1 else Verdict.ADVICE, "Encoders", text, mend)


def _encodes(program: str, encoder: Encoder) -> bool:
    argv = encoder_probe(program, encoder)
    try:
        result = subprocess.run(argv, capture_output=True, timeout=20, check=False)  # noqa: S603
    except (subprocess.TimeoutExpired, OSError):
        return False
    return result.returncode == 0


def updates(toolchain: Toolchain) -> Finding:
    """Whether the distribution has newer versions of what lies unpacked: nothing else updates it."""
    installed: dict[str, str] = {}
    for folder in toolchain.package_folders:
        if (folder / "manifest").exists():
            installed.update(read_manifest(folder))
    if not installed:
        return Finding(
            Verdict.GOOD, "Updates", "the system's own programs are used; it updates them"
        )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            apt = PrivateApt(Path(scratch), Distribution.read())
            apt.prepare()
            newest = apt.candidates(installed)
    except PackagesUnavailable as problem:
        return Finding(
            Verdict.ADVICE, "Updates", f"cannot be looked up: {problem}", "Check the network"
        )
    due = sorted(
        name for name, version in installed.items() if newest.get(name, version) != version
    )
    if not due:
        return Finding(
            Verdict.GOOD, "Updates", f"{len(installed)} Debian packages are the newest there are"
        )
    text = f"due for {', '.join(due[:6])}" + (f" and {len(due) - 6} more" if len(due) > 6 else "")
    return Finding(Verdict.BAD, "Updates", text, "./footlight update, then start Footlight again")
