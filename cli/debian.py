"""Debian's packages, unpacked into a folder of our own. Standard library only.

Installing a server package starts or enables that server on the user's machine, and adding modules
to an nginx that runs reloads it with them. So nothing is installed: apt, pointed at private
folders, works out and fetches what is needed, and dpkg-deb unpacks it. No root, no change to the
system's own packages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cli.toolchain import CHROMIUM_SCRIPT, library_folders

# Part of the stamp: raise it when the same names would be unpacked differently.
RECIPE = 1
# The fonts are for the clock in the demo's test card.
SERVER_PACKAGES = (
    "nginx",
    "libnginx-mod-rtmp",
    "libnginx-mod-http-lua",
    "libnginx-mod-stream",
    "redis-tools",
    "fonts-dejavu-core",
)
# libfaketime lets the fault suite shift the clocks of our processes; prometheus checks the alert rules
# and reads a running instance; pebble is an ACME server that certifies it.
TEST_PACKAGES = ("chromium", "ffmpeg", "libfaketime", "pebble", "prometheus")
# Fetched even when the system has them, so that all of it is one version and at one place.
OWN = re.compile(
    r"^(nginx|libnginx-mod|lua-resty|libluajit|postgresql|redis|libpq5|chromium|ffmpeg|fonts-dejavu|"
    r"libfaketime|pebble|prometheus)"
)
# Needed to install those packages, not to run the programs in them. libc6 must never be unpacked:
# the system's dynamic loader goes with the system's libc.
NOT_NEEDED = re.compile(
    r"^(perl.*|libperl.*|libgdbm.*|libjson-perl|netbase|postgresql-client-common|postgresql-common.*|ssl-cert|"
    r"sensible-utils|ucf|libc-l10n|locales|libllvm.*|libz3-4|nginx-common|libsasl2-modules.*|"
    r"libc6|libc-bin|libcrypt1|dpkg|debconf|adduser|passwd|systemd.*|libpam.*|udev|dbus.*|init-system-helpers|"
    r"python3.*|libpython3.*|fonts-glyphicons.*|libjs-.*|node-.*|chromium-sandbox|xdg-utils|shared-mime-info|adwaita-icon-theme|"
    r"gtk-update-icon-cache|hicolor-icon-theme|media-types|tzdata|logsave|lsb-base)$"
)
# Suites that are a release of the distribution itself under another name.
ROLLING = {"stable", "testing", "unstable", "sid", "devel"}

# The fields of a source that are looked at; deb822 does not care for their case.
FIELD_NAMES = {name.lower(): name for name in ("Types", "Suites", "Components", "Enabled")}


class PackagesUnavailable(Exception):
    """Debian packages cannot be fetched or do not work here; the message says why."""


@dataclass(frozen=True)
class Distribution:
    """What /etc/os-release says, as far as it matters."""

    id: str
    codename: str
    version: str

    @classmethod
    def read(cls, path: Path = Path("/etc/os-release")) -> Distribution:
        try:
            lines = path.read_text().splitlines()
        except OSError:
            lines = []
        fields = dict(line.split("=", 1) for line in lines if "=" in line)
        value = {name: text.strip().strip("\"'") for name, text in fields.items()}
        return cls(
            value.get("ID", ""), value.get("VERSION_CODENAME", ""), value.get("VERSION_ID", "")
        )


# --- pure parts: which sources, which packages ----------------------------------------------------


def own_sources(text: str, codename: str, *, deb822: bool) -> str:
    """The entries of an apt source file that are the distribution's own release, without backports.

    Other sources may be broken or slow, and have programs of the same names that are built
    differently.
    """
    if deb822:
        paragraphs = re.split(r"\n\s*\n", text)
        return "\n".join(filter(None, (_own_paragraph(p, codename) for p in paragraphs)))
    kept = []
    for line in text.splitlines():
        match = re.match(
            r"deb\s+(\[[^]]*\]\s+)?(?!cdrom:)(\S+)\s+(\S+)\s+(.+?)\s*(#.*)?$", line.strip()
        )
        if match and _is_own_suite(match[3], codename) and _own_components(match[4]):
            kept.append(f"deb {match[1] or ''}{match[2]} {match[3]} {_own_components(match[4])}")
    return "".join(line + "\n" for line in kept)


def _own_paragraph(text: str, codename: str) -> str:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1].isspace():
            fields[name] = fields.get(name, "") + "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = FIELD_NAMES.get(name.strip().lower(), name.strip())
            fields[name] = value.strip()
    suites = [suite for suite in fields.get("Suites", "").split() if _is_own_suite(suite, codename)]
    components = _own_components(fields.get("Components", ""))
    disabled = fields.get("Enabled", "yes").lower() in ("no", "false", "0")
    if not suites or not components or disabled or "deb" not in fields.get("Types", "").split():
        return ""
    fields.update(Types="deb", Suites=" ".join(suites), Components=components)
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _is_own_suite(suite: str, codename: str) -> bool:
    release, _, pocket = suite.partition("-")
    return release.split("/")[0] in {codename, *ROLLING} and not pocket.startswith("backports")


def _own_components(text: str) -> str:
    return " ".join(component for component in text.split() if component in ("main", "universe"))


def private_status(status: str, own: re.Pattern[str] = OWN) -> str:
    """dpkg's status file without `own` packages, and without all that then lacks a dependency.

    apt refuses to resolve anything while an installed package lacks a dependency, so whatever needs
    one of the removed packages goes too, until nothing more has to.
    """
    paragraphs: dict[str, str] = {}
    needs: dict[str, list[list[str]]] = {}
    gives: dict[str, set[str]] = {}
    for paragraph in status.split("\n\n"):
        fields = _fields(paragraph)
        if "Package" not in fields or not fields.get("Status", "").endswith(" installed"):
            continue
        # Co-installable builds for several architectures are packages of their own.
        key = f"{fields['Package']}:{fields.get('Architecture', '')}"
        if own.match(fields["Package"]):
            continue
        paragraphs[key] = paragraph.strip("\n")
        needs[key] = list(_alternatives(fields.get("Pre-Depends", "")))
        needs[key] += _alternatives(fields.get("Depends", ""))
        for name in (fields["Package"], *_names(fields.get("Provides", ""))):
            gives.setdefault(name, set()).add(key)

    def broken() -> list[str]:
        return [
            key
            for key in paragraphs
            if any(not any(gives.get(name) for name in names) for names in needs[key])
        ]

    while found := broken():
        for key in found:
            del paragraphs[key]
            for providers in gives.values():
                providers.discard(key)
    return "".join(f"{paragraph}\n\n" for paragraph in paragraphs.values())


def _fields(paragraph: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z][A-Za-z-]*): ?(.*)$", paragraph, re.MULTILINE))


def _alternatives(dependencies: str) -> Iterator[list[str]]:
    for clause in filter(str.strip, dependencies.split(",")):
        yield _names(clause.replace("|", ","))


def _names(text: str) -> list[str]:
    return [re.split(r"[\s(:\[]", part.strip())[0] for part in text.split(",") if part.strip()]


def needed(simulation: str) -> list[str]:
    """Names of the packages to fetch, from what `apt-get --simulate install` prints."""
    names = re.findall(r"^Inst (\S+)", simulation, re.MULTILINE)
    return [name for name in names if not NOT_NEEDED.match(name.split(":")[0])]


# --- apt and dpkg-deb -----------------------------------------------------------------------------


class PrivateApt:
    """apt on folders below `root`, with the distribution's own sources and the user's proxy
    settings.
    """

    def __init__(self, root: Path, distribution: Distribution) -> None:
        self.root = root
        self.distribution = distribution
        self.prepared = False

    def prepare(self) -> None:
        """Write the configuration and fetch the package lists. Raises PackagesUnavailable."""
        for tool in ("apt-get", "apt-cache", "apt-config", "dpkg-deb", "dpkg"):
            if shutil.which(tool) is None:
                raise PackagesUnavailable(f"{tool} is not on this system")
        for name in ("lists/partial", "archives/partial", "sources.d", "empty"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._write_sources()
        status = Path("/var/lib/dpkg/status").read_text(errors="replace")
        (self.root / "status").write_text(private_status(status))
        (self.root / "preferences").write_text(
            f"Package: *\nPin: release o={self.distribution.id.capitalize()}\nPin-Priority: 700\n"
        )
        (self.root / "apt.conf").write_text(self._configuration())
        self.run("apt-get", "-qq", "update")
        self.prepared = True

    def _write_sources(self) -> None:
        etc, target = Path("/etc/apt"), self.root / "sources.d"
        for old in target.iterdir():
            old.unlink()
        codename = self.distribution.codename
        for source in (etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))):
            if source.suffix not in (".list", ".sources") or not source.is_file():
                continue
            deb822 = source.suffix == ".sources"
            text = own_sources(source.read_text(errors="replace"), codename, deb822=deb822)
            if text.strip():
                (target / source.name).write_text(text)
        if not any(target.iterdir()):
            raise PackagesUnavailable(
                f"/etc/apt names no package source of {codename or 'this system'}"
            )

    def _configuration(self) -> str:
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)  # noqa: S607
        # How to reach the sources stays as the user has set it; hooks and extra indexes do not.
        kept = re.findall(
            r"^Acquire::(?:http|https|ftp|Retries|ForceIPv[46]|Check-Valid-Until).*$",
            dump.stdout,
            re.MULTILINE,
        )
        settings = {
            "Dir::State::lists": self.root / "lists",
            "Dir::State::status": self.root / "status",
            "Dir::State::extended_states": self.root / "extended_states",
            "Dir::Cache": self.root,
            "Dir::Cache::archives": self.root / "archives",
            "Dir::Log": self.root,
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": self.root / "empty",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.root / "sources.d",
            "Dir::Etc::preferences": self.root / "preferences",
            "Dir::Etc::preferencesparts": self.root / "empty",
            "Debug::NoLocking": "true",
            "APT::Sandbox::User": "",
            "APT::Install-Recommends": "false",
            "APT::Get::Assume-Yes": "true",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        lines = [*kept, *(f'{name} "{value}";' for name, value in settings.items())]
        architecture = self.architecture()
        lines.append(
            f'APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};'
        )
        return "\n".join(lines) + "\n"

    def architecture(self) -> str:
        """Debian's name of this machine's architecture, such as amd64."""
        return self.run("dpkg", "--print-architecture").strip()

    def newest_postgres(self) -> str:
        """Name of the newest PostgreSQL server package that the distribution has."""
        names = self.run("apt-cache", "pkgnames", "postgresql-").split()
        versions = sorted(
            int(found[1]) for name in names if (found := re.fullmatch(r"postgresql-(\d+)", name))
        )
        if not versions:
            raise PackagesUnavailable("the package sources have no PostgreSQL")
        return f"postgresql-{versions[-1]}"

    def resolve(self, names: Iterable[str]) -> list[str]:
        """`names` and all that they need which the system does not have."""
        return needed(self.run("apt-get", "--simulate", "install", *names))

    def candidates(self, names: Iterable[str]) -> dict[str, str]:
        """Package → the version that the sources offer now."""
        policy = self.run("apt-cache", "policy", *names)
        return dict(re.findall(r"^(\S+):\n(?:  .*\n)*?  Candidate: (\S+)", policy, re.MULTILINE))

    def fetch(self, names: Iterable[str], folder: Path) -> list[Path]:
        """Download packages into `folder`: the files."""
        folder.mkdir(parents=True, exist_ok=True)
        self.run("apt-get", "-qq", "download", *names, cwd=folder)
        return sorted(folder.glob("*.deb"))

    def run(self, *argv: str, cwd: Path | None = None) -> str:
        """Run a package tool with the private configuration: its output. Raises
        PackagesUnavailable.
        """
        result = subprocess.run(  # noqa: S603
            argv,
            cwd=cwd or self.root,
            env={**os.environ, "APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if result.returncode != 0:
            lines = [line for line in (result.stderr or result.stdout).splitlines() if line.strip()]
            raise PackagesUnavailable(f"{argv[0]} failed: " + "; ".join(lines[:3]))
        return result.stdout


def unpack(
    apt: PrivateApt, names: Iterable[str], folder: Path, report: Callable[[str], None]
) -> None:
    """Fetch `names` with what they need and unpack it all into `folder`, which becomes complete at
    once.

    `folder/manifest` lists name and version of each. Raises PackagesUnavailable when a program in
    it lacks a library here.
    """
    draft = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    packages = apt.resolve(names)
    files_folder = draft / "debs"
    report(f"fetching {len(packages)} packages")
    files = apt.fetch(packages, files_folder)
    size = sum(file.stat().st_size for file in files) / 1e6
    report(f"unpacking {len(files)} packages ({size:.0f} MB)")
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        list(pool.map(lambda file: apt.run("dpkg-deb", "-x", str(file), str(draft)), files))
    manifest = (apt.run("dpkg-deb", "-f", str(file), "Package", "Version") for file in files)
    (draft / "manifest").write_text("".join(_manifest_line(text) for text in manifest))
    shutil.rmtree(files_folder)
    # The server is one of the tools under another name.
    server = draft / "usr/bin/redis-server"
    if not server.exists() and server.with_name("redis-check-rdb").exists():
        server.symlink_to("redis-check-rdb")
    if (draft / "usr/lib/chromium/chromium").exists():
        write_chromium_script(draft)
    missing = missing_libraries(draft)
    if missing:
        shown = ", ".join(
            f"{library} (for {program})" for library, program in sorted(missing.items())[:5]
        )
        raise PackagesUnavailable(f"the unpacked programs lack {shown}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft.rename(folder)


def write_chromium_script(folder: Path) -> None:
    """A script in `folder` that starts the Chromium unpacked there, with its libraries and fonts."""
    inside = [f'"$here"/{path.relative_to(folder)}' for path in library_folders(folder)]
    script = folder / CHROMIUM_SCRIPT
    script.write_text(
        "#!/bin/sh\n"
        'here=$(dirname "$(readlink -f "$0")")\n'
        f"LD_LIBRARY_PATH={':'.join(inside)}\n"
        'FONTCONFIG_FILE="$here/fonts.conf"\n'
        "export LD_LIBRARY_PATH FONTCONFIG_FILE\n"
        'exec "$here/usr/lib/chromium/chromium" "$@"\n'
    )
    script.chmod(0o755)
    (folder / "fonts.conf").write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">\n<fontconfig>\n'
        # Relative to this file, which is renamed with its folder.
        '  <dir prefix="relative">usr/share/fonts</dir>\n  <dir>/usr/share/fonts</dir>\n'
        '  <cachedir prefix="xdg">fontconfig</cachedir>\n</fontconfig>\n'
    )


def _manifest_line(control: str) -> str:
    fields = _fields(control)
    return f"{fields['Package']} {fields['Version']}\n"


def read_manifest(folder: Path) -> dict[str, str]:
    """Package → version of what lies unpacked in `folder`."""
    return dict(line.split() for line in (folder / "manifest").read_text().splitlines())


def missing_libraries(folder: Path) -> Mapping[str, str]:
    """Library → a program below `folder` that needs it and would not find it."""
    programs = [
        *folder.glob("usr/sbin/nginx"),
        *folder.glob("usr/lib/nginx/modules/*.so"),
        *folder.glob("usr/bin/redis-server"),
        *folder.glob("usr/lib/postgresql/*/bin/postgres"),
        *folder.glob("usr/lib/postgresql/*/bin/initdb"),
        *folder.glob("usr/bin/ff*"),
        *folder.glob("usr/lib/chromium/chromium"),
    ]
    libraries = os.pathsep.join(str(path) for path in library_folders(folder))
    missing: dict[str, str] = {}
    for program in programs:
        result = subprocess.run(  # noqa: S603
            ["ldd", str(program)],  # noqa: S607
            env={**os.environ, "LD_LIBRARY_PATH": libraries, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
        for library in re.findall(r"^\s*(\S+) => not found", result.stdout, re.MULTILINE):
            missing.setdefault(library, program.name)
    return missing
