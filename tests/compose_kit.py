"""docker-compose.yml read as an engine reads it, and its services run without one.

What a container would get is given to a process: the exact command and the exact environment. `Machine.substitute`
is the one place where anything is changed, and it changes host names, ports and volume roots only.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cli.instance import free_port
from cli.toolchain import Toolchain
from tests.harness import SOURCE, eventually

FILE = SOURCE / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{([A-Z_0-9]+)(?::([-?])([^}]*))?\}")
# Where the images have what lies elsewhere here.
SOURCES_IN_IMAGE, WEB_IN_IMAGE = "/srv/footlight", "/srv/footlight/web-root"
_taken: set[int] = set()


class Missing(Exception):
    """A variable that the file asks for is not in .env; the message says which."""


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """`value` with its `${NAME}`, `${NAME:-default}` and `${NAME:?why}` filled in, as Compose does."""
    if isinstance(value, Mapping):
        return {key: interpolate(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolate(inner, variables) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        name, kind, text = found.groups()
        given = variables.get(name, "")
        if kind == "?" and not given:
            raise Missing(f"{name}: {text}")
        return given or (text or "" if kind == "-" else "")

    return VARIABLE.sub(fill, value)


def variables_of(text: str) -> dict[str, str]:
    """What a .env file says."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def make_env(profile: str) -> str:
    """A new .env, as an admin has it made."""
    return subprocess.check_output([SOURCE / "infra/docker/make-env", profile], text=True)


@cache
def raw() -> dict[str, Any]:
    """The file with its anchors followed, and nothing filled in. Nobody changes it."""
    content: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return content


@cache
def filled(profile: str = "all") -> dict[str, Any]:
    """The file as somebody has it who made a new .env. Nobody changes it."""
    content: dict[str, Any] = interpolate(raw(), variables_of(make_env(profile)))
    return content


def environment(service: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """The environment that the file gives a service. `env` is what .env says."""
    given = dict(env) if service.get("env_file") else {}
    return {**given, **service.get("environment", {})}


@dataclass(frozen=True)
class Mount:
    """What a container has at `target`: a volume by its name, a path of the machine's, or memory (`""`)."""

    source: str
    target: str

    @property
    def is_path(self) -> bool:
        return self.source.startswith((".", "/"))


def mounts(service: Mapping[str, Any]) -> list[Mount]:
    """All that is mounted into a service's container."""
    found = []
    for text in service.get("volumes", []):
        source, _, rest = text.partition(":")
        found.append(Mount(source, rest.partition(":")[0]) if rest else Mount("", source))
    found += [Mount("", text.partition(":")[0]) for text in service.get("tmpfs", [])]
    return found


@dataclass
class Process:
    """A service that runs."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass
class Machine:
    """A folder in which services run side by side, as containers would on one machine."""

    root: Path
    env: Mapping[str, str]
    toolchain: Toolchain = field(default_factory=Toolchain.from_environment)
    processes: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.services: dict[str, dict[str, Any]] = interpolate(raw()["services"], self.env)
        self.ports = {
            (name, int(port)): free_port(_taken)
            for name, service in self.services.items()
            for port in service.get("expose", [])
        }
        self.hosts = {name: name for name in self.services}
        for name, service in self.services.items():
            networks = service.get("networks", [])
            for network in networks.values() if isinstance(networks, dict) else ():
                self.hosts.update(dict.fromkeys(network.get("aliases", []), name))
        # The alias is of the container that holds the network; nobody serves under its own name.
        self.hosts["ingest"] = "ingest-network"

    def network_of(self, name: str) -> str:
        """The service whose loopback and ports are those of `name`."""
        mode = self.services[name].get("network_mode", "")
        return mode.removeprefix("service:") if mode.startswith("service:") else name

    def port(self, name: str, inside: int) -> int:
        """The port here of what is `inside` in the container."""
        return self.ports[self.network_of(name), inside]

    def place(self, name: str, mount: Mount) -> Path:
        """The folder here of what a container has mounted."""
        if mount.source and not mount.is_path:
            return self.root / "volumes" / mount.source
        return self.root / name / mount.target.strip("/").replace("/", "-")

    def substitute(self, name: str, text: str) -> str:
        """`text` of the service `name` for this machine: host names, ports and volume roots, and nothing else."""
        network = self.network_of(name)
        own = {str(port): str(here) for (at, port), here in self.ports.items() if at == network}
        roots = {
            mount.target: str(self.place(name, mount)) for mount in mounts(self.services[name])
        }
        roots[WEB_IN_IMAGE] = str(self.toolchain.web_root())

        def change(found: re.Match[str]) -> str:
            host, port, path, own_port = found.groups()
            if host:
                return f"127.0.0.1:{self.ports[self.hosts[host], int(port)]}"
            if path:
                return roots[path]
            return own[own_port] if own_port else "127.0.0.1"

        hosts = "|".join(sorted(self.hosts, key=len, reverse=True))
        paths = "|".join(re.escape(path) for path in sorted(roots, key=len, reverse=True))
        ports = "|".join(own) or "(?!)"
        return re.sub(
            rf"\b({hosts}):(\d+)\b"
            rf"|(?<![\w./-])({paths})(?![\w.-])"
            rf"|(?<![\w.-])({ports})(?![\w.])"
            r"|\b0\.0\.0\.0\b",
            change,
            text,
        )

    def environment(self, name: str) -> dict[str, str]:
        """Of the container, here; and what the image would have set, or the programs of the toolchain need."""
        given = environment(self.services[name], self.env)
        links = self.root / "bin"
        outside = ("PATH", "FOOTLIGHT_TOOLCHAIN", "FOOTLIGHT_TOOLCHAIN_VIEW", "PYTHONPYCACHEPREFIX")
        image = {key: os.environ[key] for key in outside if key in os.environ}
        image["PATH"] = f"{links}:{SOURCE / 'infra/docker'}:{image['PATH']}"
        image["HOME"] = str(self.root)
        return {**image, **{key: self.substitute(name, text) for key, text in given.items()}}

    def argv(self, name: str, command: list[str]) -> tuple[list[str], Mapping[str, str]]:
        """`command` with its program as it is found here, and what that program needs in its environment."""
        program, *arguments = command
        if program == "python":
            return [sys.executable, *arguments], {}
        found = self.toolchain.find(Path(program).name)
        path, needed = (found.path, found.environment) if found else (Path(program), {})
        return [str(path), *arguments], needed

    def prepare(self, name: str) -> None:
        """What an engine mounts: folders, and copies of the files that name hosts, ports or folders."""
        for mount in mounts(self.services[name]):
            place = self.place(name, mount)
            source = SOURCE / mount.source
            if not mount.is_path:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif source.is_dir():
                for file in filter(Path.is_file, source.rglob("*")):
                    copy = place / file.relative_to(source)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_text(self.substitute(name, file.read_text()))
            elif source.is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(self.substitute(name, source.read_text()))

    def start(self, name: str, command: list[str] | None = None) -> Process:
        """Run a service's command, or the one given, as its container would."""
        self.prepare(name)
        service = self.services[name]
        whole = [*service.get("entrypoint", ()), *service["command"]]
        wanted = [self.substitute(name, word) for word in whole]
        argv, needed = self.argv(name, command or wanted)
        log = self.root / f"{name}.log"
        with log.open("ab") as file:
            popen = subprocess.Popen(
                # Ends with the test, whatever becomes of it.
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                cwd=SOURCE,
                env={**self.environment(name), **needed},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.processes[name] = Process(name, popen, log)
        return self.processes[name]

    def healthy(self, name: str) -> bool:
        """What the container's own check says."""
        kind, *test = self.services[name]["healthcheck"]["test"]
        words = [self.substitute(name, word) for word in test]
        if words[0] == "wget":
            # Of the image; whether this machine has one is no matter.
            words = ["curl", "-fsS", "-o", "/dev/null", words[-1]]
        argv, needed = self.argv(name, words if kind == "CMD" else ["sh", "-c", words[0]])
        environment = {**self.environment(name), **needed}
        run = subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=10)
        return run.returncode == 0

    def wait(self, name: str, within_s: float = 120.0) -> None:
        """Until the service is healthy, or has ended well where it is to end."""
        process = self.processes[name]

        def done() -> bool:
            status = process.popen.poll()
            if "healthcheck" not in self.services[name] and status in (None, 0):
                return status == 0
            if status is not None:
                raise RuntimeError(f"{name} ended with {status}:\n{process.text()[-4000:]}")
            return self.healthy(name)

        try:
            eventually(done, within_s=within_s, what=f"{name} is up")
        except AssertionError as late:
            raise AssertionError(f"{late}; it said:\n{process.text()[-4000:]}") from None

    def stop(self, name: str) -> int:
        """End a service as an engine does: its exit status. Killed when its grace period is over."""
        service, process = self.services[name], self.processes.pop(name)
        process.popen.send_signal(signal.Signals[service.get("stop_signal", "SIGTERM")])
        grace = float(service.get("stop_grace_period", "10s").removesuffix("s"))
        try:
            return process.popen.wait(grace)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{name} did not end within {grace} s:\n{process.text()[-2000:]}"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.popen.pid, signal.SIGKILL)


@contextlib.contextmanager
def machine(profile: str, **settings: str) -> Iterator[Machine]:
    """A machine on which nothing runs yet, with some settings more in its .env. What runs when it is left is killed."""
    # Short: the path of a unix socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="c-", ignore_cleanup_errors=True) as folder:
        made = Machine(Path(folder), {**variables_of(make_env(profile)), **settings})
        links = made.root / "bin"
        links.mkdir()
        (links / "ffmpeg").symlink_to(made.toolchain.ffmpeg())
        try:
            yield made
        finally:
            for process in reversed(made.processes.values()):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.popen.pid, signal.SIGKILL)
                process.popen.wait(10)


def versitygw() -> str | None:
    """The S3 server of the file, where this machine happens to have it."""
    return shutil.which("versitygw")
