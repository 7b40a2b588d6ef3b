"""What a supervised process is, and when a dead one is started again. No processes in here."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class ProcessSpec:
    """One process of an instance.

    `ready` answers whether the process serves; `alive` (default: `ready`) whether it should be left
    running. They differ for a service that is healthy while a server that it needs is away.
    `before_start` runs before every start, restarts included, and mends what a crash left behind.
    """

    name: str
    title: str
    # The program to execute, or else a module of ours, which `up` forks (cli.preload).
    argv: tuple[str, ...]
    cwd: Path
    module: str = ""
    # Where it answers: "unix:/path", "http://host:port" or a URL of its own protocol.
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Probe | None = None
    alive: Probe | None = None
    before_start: Callable[[], Awaitable[None]] | None = None
    # Long: on a small machine that is busy, Python services have needed more than half a minute. One that
    # ends is noticed at once.
    ready_timeout_s: float = 120.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 5.0
    # One that holds more bytes of its own is started anew.
    most_memory: int | None = None
    # What the kernel sends when the supervisor dies.
    death_signal: signal.Signals = signal.SIGTERM

    def command(self) -> tuple[str, ...]:
        """argv that sets the death signal and becomes the program, under the same pid (setpriv(1))."""
        name = self.death_signal.name.removeprefix("SIG")
        # -P: nothing in the working folder is imported.
        argv = self.argv or (sys.executable, "-P", "-m", self.module)
        return ("setpriv", "--pdeathsig", name, "--", *argv)


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a process is started again, as a value.

    A process that ran for `healthy_s` starts afresh; one that keeps dying waits twice as long each
    time.
    """

    failures: int = 0
    first_s: float = 0.1
    longest_s: float = 15.0
    healthy_s: float = 20.0

    def after_exit(self, uptime_s: float) -> tuple[Backoff, float]:
        """The next state and the seconds to wait, for a process that died after `uptime_s` seconds."""
        failures = 0 if uptime_s >= self.healthy_s else self.failures
        # The exponent is bounded: a process that dies for days must not overflow a float.
        delay = min(self.longest_s, self.first_s * 2 ** min(failures, 30))
        return Backoff(failures + 1, self.first_s, self.longest_s, self.healthy_s), delay
