"""Run a program that reads what a stranger sent, with next to nothing in its reach.

What it does to a process it does to a single thread as well, and to all that is started from there:
`ingest.confined` has such threads. Started as a script it needs Python's standard library only
(`recorder.sandbox` makes its command line):

    confine.py --cpu S --memory BYTES --files N [--nice N] [--read PATH]… [--fd N]… -- PROGRAM [ARGUMENT]…

The program gets: no network (a network namespace of its own, no sockets by seccomp, Landlock's rules for
TCP), no file but those below the given paths, to read (Landlock), no file larger than nothing to write,
limits on CPU time and memory, no way to gain privileges, and the inherited descriptors that are named. What
the kernel does not offer is left out and said on stderr once; limits always hold. It dies with its parent.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator, Sequence

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
# landlock(7): the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH, _RULE_NET_PORT = 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CONNECT_TCP = 1 << 1
# Kinds of access to files by version of the interface: what is handled is forbidden unless a rule allows it.
_FILE_ACCESS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP = 0b11
_SCOPES = 0b11

# seccomp(2): a machine's number (linux/audit.h) and its number for socket(2). io_uring opens sockets, too.
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING_SETUP = 425
# Numbers of x32, another interface of the same machine.
_X32 = 0x40000000
_FILTER = 2
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | errno.EACCES, 0x80000000
_LOAD, _IS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06

#: What a program needs to start: its libraries, and what glibc reads.
SYSTEM = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null",
          "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu",
          "/sys/kernel/mm/transparent_hugepage")  # fmt: skip

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


def close_the_files(paths: Sequence[str], ports: Sequence[int] = ()) -> None:
    """No file but those below `paths`, and those only to read; no TCP but to `ports`. Raises OSError."""
    version = _call("syscall", _CREATE_RULESET, None, 0, 1)
    files = (1 << _FILE_ACCESS[min(version, 5)]) - 1
    attributes = struct.pack(
        "QQQ", files, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _call("syscall", _CREATE_RULESET, attributes, size, 0)
    try:
        for path in paths:
            with contextlib.suppress(OSError):
                _open_path(ruleset, path)
        for port in ports if version >= 4 else ():
            rule = struct.pack("QQ", _CONNECT_TCP, port)
            _call("syscall", _ADD_RULE, ruleset, _RULE_NET_PORT, rule, 0)
        _call("syscall", _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _open_path(ruleset: int, path: str) -> None:
    allowed = _EXECUTE | _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
    if path == os.devnull:
        allowed |= _WRITE_FILE
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", allowed, opened)
        _call("syscall", _ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(opened)


def close_the_sockets(families: Sequence[int] = ()) -> None:
    """No socket but of these families: unix sockets are no matter of Landlock's. Raises OSError."""
    kind = os.uname().machine
    if kind not in _MACHINES:
        raise OSError(errno.ENOTSUP, f"no socket filter for {kind}")
    machine, socket_call = _MACHINES[kind]
    allowed = len(families)
    # (code, steps when true, steps when false, value); offsets are those of struct seccomp_data.
    program = [
        (_LOAD, 0, 0, 4), (_IS, 1, 0, machine), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 3 + allowed, 0, _X32), (_IS, 2 + allowed, 0, _IO_URING_SETUP),
        (_IS, 0, 2 + allowed, socket_call),
        (_LOAD, 0, 0, 16),
        *((_IS, allowed - number, 0, family) for number, family in enumerate(families)),
        (_RETURN, 0, 0, _DENY), (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    held = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(held))
    _call("prctl", _PR_SET_SECCOMP, _FILTER, header, 0, 0)


def give_up_privileges() -> None:
    """Nothing that is started from here gains what this has not: what both of the above need."""
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """What the kernel does not offer is left out."""
    try:
        yield
    except OSError as error:
        print(f"confine: {error}", file=sys.stderr)


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
    with _said():
        leave_the_network()
    give_up_privileges()
    limit(asked.cpu, asked.memory, asked.files, asked.nice)
    with _said():
        close_the_files(asked.read)
    with _said():
        close_the_sockets()
    # Last: what changes a process's credentials clears it.
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    # glibc reserves 64 MB of addresses for each of many threads, which count as memory that is used.
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "MALLOC_ARENA_MAX": "4"}
    os.execve(asked.command[0], asked.command, environment)  # noqa: S606


if __name__ == "__main__":
    main()
