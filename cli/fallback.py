"""When Debian's packages cannot be unpacked: the system's own programs, or installing them after
asking.

Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.debian import SERVER_PACKAGES, TEST_PACKAGES, Distribution
from cli.toolchain import MissingProgram, Toolchain


@dataclass(frozen=True)
class Requirement:
    """A program, and the lowest version of it that serves."""

    program: str
    title: str
    version: tuple[int, ...]
    package: str


SERVERS = (
    Requirement("postgres", "PostgreSQL", (15,), "postgresql"),
    Requirement("redis-server", "Redis", (7,), "redis-server"),
    Requirement("nginx", "nginx", (1, 18), "nginx"),
)
TEST_PROGRAMS = (
    Requirement("chromium", "Chromium", (100,), "chromium"),
    Requirement("ffprobe", "ffprobe", (5,), "ffmpeg"),
    Requirement("promtool", "Prometheus", (2, 40), "prometheus"),
)


def missing_programs(requirements: Sequence[Requirement]) -> list[str]:
    """What the system lacks of `requirements`, one line each; empty when its programs serve."""
    # A folder that does not exist: only the system is looked at.
    system = Toolchain(Path("/nonexistent"))
    missing = []
    for wanted in requirements:
        least = ".".join(map(str, wanted.version))
        program = system.find(wanted.program)
        if program is None:
            missing.append(f"{wanted.title} {least} or newer (package {wanted.package})")
            continue
        version = program.version()
        if tuple(int(part) for part in version.split(".") if part.isdigit()) < wanted.version:
            missing.append(f"{wanted.title} {least} or newer ({program.path} is {version})")
        if wanted.program == "nginx":
            try:
                system.nginx_modules()
                system.lua_package_path()
            except MissingProgram:
                missing.append(
                    "nginx's RTMP, Lua and stream modules (packages libnginx-mod-rtmp, "
                    "libnginx-mod-http-lua, libnginx-mod-stream)"
                )
    return missing


def install_after_asking(
    distribution: Distribution, missing: list[str], *, tests: bool
) -> list[str]:
    """Offer to install packages with apt-get; what is missing afterwards.

    Nobody is asked without a terminal, and nothing is done without a yes.
    """
    if distribution.id not in ("debian", "ubuntu") or shutil.which("apt-get") is None:
        return missing
    packages = TEST_PACKAGES if tests else (*SERVER_PACKAGES, "redis-server", "postgresql")
    become_root = [] if os.geteuid() == 0 else ["sudo"]
    script = install_script(packages)
    if not sys.stdin.isatty() or (become_root and shutil.which("sudo") is None):
        return [*missing, f"as root: apt-get install {' '.join(packages)}"]
    print(
        "\nThese packages can be installed on the system instead:\n"
        f"    {' '.join(packages)}\n"
        "Their own services are masked first, so that none of them starts by itself."
    )
    if input("Install them now? [y/N] ").strip().lower() not in ("y", "yes"):
        return missing
    subprocess.run([*become_root, "sh", "-c", script], check=False)  # noqa: S603
    return missing_programs(TEST_PROGRAMS if tests else SERVERS)


def install_script(packages: Sequence[str]) -> str:
    """Shell commands that install `packages` and leave none of their services running.

    Only masking survives: a disabled nginx was started by a later reinstall. A unit of a package
    that is already there is the user's own and is left alone.
    """
    units = {name: name for name in ("nginx", "redis-server", "postgresql", "prometheus")}
    masks = [
        f"dpkg -s {package} >/dev/null 2>&1 || systemctl mask {unit}.service 2>/dev/null || true"
        for package, unit in units.items()
        if package in packages
    ]
    return "\n".join(
        (
            "set -e",
            *masks,
            "mkdir -p /etc/postgresql-common/createcluster.d",
            "echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/footlight.conf",
            "apt-get update",
            f"apt-get install --yes --no-install-recommends {' '.join(packages)}",
        )
    )
