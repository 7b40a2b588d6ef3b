"""What this machine can still do: idle cores, what encoding costs here, which hardware encodes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from core.logs import logger
from ingest import ffmpeg
from ingest.confined import guarded
from ingest.ffmpeg import Encoder
from ingest.ladder import Headroom

log = logger(__name__)

SAMPLE_S = 1.0
WINDOW_S = 10.0
PROBE_TIMEOUT_S = 30.0
#: CPU seconds per megapixel until it has been measured: a slow machine.
DEFAULT_COST = 0.02
#: The CPU's part of a hardware encode.
HARDWARE_SHARE = 0.15


def idle_cpu_seconds(proc_stat: str) -> float:
    """Idle time of all cores since boot, from the text of /proc/stat.

    Waiting for disks counts as idle, time stolen by the hypervisor does not.
    """
    words = proc_stat.split("\n", 1)[0].split()
    if words[:1] != ["cpu"] or len(words) < 6:
        raise ValueError("not /proc/stat")
    return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Abilities:
    """How rungs are encoded here: the encoder and its CPU seconds per megapixel."""

    encoder: Encoder = Encoder.X264
    core_s_per_mpx: float = DEFAULT_COST


@dataclass(slots=True)
class Machine:
    """Idle cores over the last seconds, and what transcoding costs."""

    abilities: Abilities = field(default_factory=Abilities)
    _samples: deque[tuple[float, float]] = field(default_factory=deque)
    #: (when, cores) of ladders too young to show in the samples.
    _promised: deque[tuple[float, float]] = field(default_factory=deque)

    def sample(self) -> None:
        """Note the idle time so far."""
        now = time.monotonic()
        with contextlib.suppress(OSError, ValueError):
            self._samples.append((now, idle_cpu_seconds(Path("/proc/stat").read_text())))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()

    def headroom(self) -> Headroom:
        """Cores that were idle lately, less what was promised since; none before it is known."""
        self.sample()
        cores = len(os.sched_getaffinity(0))
        (then, before), (now, after) = self._samples[0], self._samples[-1]
        if now - then < SAMPLE_S / 2:
            return Headroom(cores, 0.0)
        idle = (after - before) / (now - then)
        while self._promised and self._promised[0][0] < now - WINDOW_S:
            self._promised.popleft()
        promised = sum(cost for _, cost in self._promised)
        # Other guests or a CPU limit: no more than this process may use is ours.
        return Headroom(cores, max(0.0, min(idle, cores) - promised))

    def promise(self, cores: float) -> None:
        """A ladder of this cost begins."""
        self._promised.append((time.monotonic(), cores))

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(SAMPLE_S)


async def _run(argv: list[str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *guarded(argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, stderr = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return process.returncode or 0, stderr.decode("utf-8", "replace")


async def measure(program: str) -> Abilities:
    """Try the hardware encoders, then time the one to use. A probe that fails counts as absent."""
    encoder = Encoder.X264
    for candidate in Encoder:
        with contextlib.suppress(TimeoutError, OSError):
            status, _ = await _run(ffmpeg.encoder_probe(program, candidate))
            if status == 0:
                encoder = candidate
                break
    status, stderr = await _run(ffmpeg.cost_probe(program, encoder))
    seconds = ffmpeg.cpu_seconds(stderr) if status == 0 else None
    if seconds is None:
        return Abilities(encoder)
    width, height = ffmpeg.PROBE_SIZE
    cost = seconds / (width * height * ffmpeg.PROBE_FRAMES / 1e6)
    return Abilities(encoder, cost if encoder is Encoder.X264 else cost * HARDWARE_SHARE)


def _fingerprint(program: str) -> str:
    """What the result of `measure` depends on."""
    model = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line
                break
    size = 0
    with contextlib.suppress(OSError):
        size = Path(program).stat().st_size
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    devices += sorted(path.name for path in Path("/dev/dri").glob("render*"))
    text = json.dumps([model, os.cpu_count(), program, size, devices])
    return sha256(text.encode()).hexdigest()


def _recall(cache: Path, mark: str) -> Abilities | None:
    """What was measured on the same machine with the same ffmpeg."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(cache.read_text())
        if kept["machine"] == mark:
            return Abilities(Encoder(kept["encoder"]), float(kept["core_s_per_mpx"]))
    return None


def _keep(cache: Path, mark: str, found: Abilities) -> None:
    content = {
        "machine": mark,
        "encoder": found.encoder.value,
        "core_s_per_mpx": found.core_s_per_mpx,
    }
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(content))


async def learn(machine: Machine, program: str, cache: Path) -> None:
    """Set the machine's abilities, measured once per machine and ffmpeg and kept in `cache`."""
    mark = _fingerprint(program)
    kept = _recall(cache, mark)
    if kept is not None:
        machine.abilities = kept
        return
    try:
        machine.abilities = await measure(program)
    except (OSError, TimeoutError) as error:
        log.warning("encoder_probe_failed", error=repr(error))
        return
    _keep(cache, mark, machine.abilities)
    log.info(
        "encoder_measured",
        encoder=machine.abilities.encoder.value,
        core_s_per_mpx=round(machine.abilities.core_s_per_mpx, 4),
    )
