"""Run a program that reads what a stranger sent, with next to nothing in its reach.

Started as a script, with Python's standard library only (`recorder.sandbox` makes its command line):

    confine.py --cpu S --memory BYTES --files N [--nice N] [--read PATH]… [--fd N]… -- PROGRAM [ARGUMENT]…

The program gets: no network (a network namespace of its own, and Landlock's rules for TCP), no file but
those below the given paths, to read (Landlock), no file larger than nothing to write, limits on CPU time
and memory, no way to gain privileges, and the inherited descriptors that are named. What the kernel does
not offer is left out and said on stderr once; limits always hold. It dies with its parent.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
# landlock(7): the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
# Kinds of access to files by version of the interface: what is handled is forbidden unless a rule allows it.
_FILE_ACCESS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP = 0b11
_SCOPES = 0b11

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def limit(cpu_s: int, memory: int, files: int, nice: int) -> None:
    """Limits that every system has."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(nice)


def leave_the_network() -> None:
    """A network namespace of its own, with nothing in it. Raises OSError."""
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def close_the_files(paths: list[str]) -> None:
    """No file but those below `paths`, and those only to read. Raises OSError."""
    version = _call("syscall", _CREATE_RULESET, None, 0, 1)
    files = (1 << _FILE_ACCESS[min(version, 5)]) - 1
    attributes = struct.pack(
        "QQQ", files, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call("syscall", _CREATE_RULESET, attributes, size, 0)
    for path in paths:
        with contextlib.suppress(OSError):
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = _EXECUTE | _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
            rule = struct.pack("=Qi", allowed, opened)
            _call("syscall", _ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
            os.close(opened)
    _call("syscall", _RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def main() -> None:
    """Confine this process, then become the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpu", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--files", type=int, required=True)
    parser.add_argument("--nice", type=int, default=10)
    parser.add_argument("--read", action="append", default=[])
    parser.add_argument("--fd", type=int, action="append", default=[])
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    for number in range(3, 256):
        if number not in asked.fd:
            with contextlib.suppress(OSError):
                os.close(number)
    try:
        leave_the_network()
    except OSError as error:
        print(f"confine: {error}", file=sys.stderr)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    limit(asked.cpu, asked.memory, asked.files, asked.nice)
    try:
        close_the_files(asked.read)
    except OSError as error:
        print(f"confine: {error}", file=sys.stderr)
    # Last: what changes a process's credentials clears it.
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    # glibc reserves 64 MB of addresses for each of many threads, which count as memory that is used.
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "MALLOC_ARENA_MAX": "4"}
    os.execve(asked.command[0], asked.command, environment)  # noqa: S606


if __name__ == "__main__":
    main()
