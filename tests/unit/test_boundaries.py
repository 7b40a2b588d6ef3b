"""Who may import whom (docs/architecture.md), read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2]
SERVICES = {"api", "ingest", "chat", "recorder"}
# Packages of ours that a package may import besides itself. What is not named may import all.
ALLOWED = {"core": set[str](), **{service: {"core"} for service in SERVICES}}
# Cores that take bytes or a command and the time, and give a list of events.
PURE = (
    "ingest/packager",
    "ingest/session.py",
    "chat/room.py",
    "chat/automod.py",
    "chat/commands.py",
    "chat/confusables.py",
    "chat/links.py",
    "chat/terms.py",
    "chat/wire.py",
    "chat/irc.py",
    "chat/terms.py",
    "chat/commands.py",
    "chat/fanout.py",
    "chat/emotes.py",
    "chat/irc_replies.py",
    "recorder/timeline.py",
    "recorder/live_timeline.py",
    "recorder/adts.py",
    "recorder/cutting.py",
    "recorder/cut_run.py",
    "recorder/pieces.py",
    "recorder/reel.py",
    "recorder/fmp4.py",
    "recorder/encoding.py",
    "recorder/movie.py",
    "recorder/probe.py",
    "recorder/refusals.py",
    "recorder/splitter.py",
    "api/uploads/tus.py",
    "api/exports/links.py",
    "api/names.py",
    "api/cursors.py",
    "core/stream_keys.py",
    "core/errors.py",
)
IMPURE = {
    "aiohttp",
    "asyncio",
    "asyncpg",
    "boto3",
    "httpx",
    "nats",
    "redis",
    "socket",
    "sqlalchemy",
    "subprocess",
    "threading",
    "websockets",
}
# The launcher runs these before any package is there.
STANDARD_LIBRARY_ONLY = (
    "bootstrap",
    "commands",
    "debian",
    "fallback",
    "index",
    "instance",
    "pieces",
    "privilege",
    "python_environment",
    "setup",
    "source",
    "toolchain",
    "web_pages",
)


def modules(folder: str) -> list[Path]:
    """Every Python file of a package."""
    return sorted((SOURCE / folder).rglob("*.py"))


def imported(file: Path, *, inside_functions: bool = True) -> Iterator[str]:
    """Full names of what `file` imports; relative imports are resolved."""
    package = file.relative_to(SOURCE).parts[:-1]
    tree = ast.parse(file.read_text())
    nodes = ast.walk(tree) if inside_functions else iter(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*base, *filter(None, (node.module,))))
            yield from (f"{origin}.{name.name}" for name in node.names)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    ours = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    ours |= SERVICES | {"cli", "bench", "tests"}
    forbidden = ours - ALLOWED[package] - {package}
    wrong = [
        f"{file.relative_to(SOURCE)} imports {name}"
        for file in modules(package)
        for name in imported(file)
        if name.split(".")[0] in forbidden
    ]
    assert not wrong


@pytest.mark.parametrize("place", PURE)
def test_pure_cores_do_no_input_or_output(place: str) -> None:
    path = SOURCE / place
    files = [path] if path.is_file() else modules(place)
    wrong = [
        f"{file.relative_to(SOURCE)} imports {name}"
        for file in files
        for name in imported(file)
        if name.split(".")[0] in IMPURE
    ]
    assert not wrong


@pytest.mark.parametrize("place", ("ingest/packager", "ingest/session.py"))
def test_pure_cores_have_no_clock_and_open_no_file(place: str) -> None:
    path = SOURCE / place
    files = [path] if path.is_file() else modules(place)
    assert files
    wrong = [
        f"{file.relative_to(SOURCE)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS
    ]
    assert not wrong


IMPURE_CALLS = {
    "open",
    "datetime.now",
    "datetime.datetime.now",
    "datetime.utcnow",
    "time.time",
    "time.monotonic",
    "time.perf_counter",
    "time.sleep",
}


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_the_launcher_needs_nothing_but_python(name: str) -> None:
    import sys

    allowed = {f"cli.{other}" for other in STANDARD_LIBRARY_ONLY} | {"cli"}
    wrong = [
        found
        for found in imported(SOURCE / f"cli/{name}.py", inside_functions=False)
        if found.split(".")[0] not in sys.stdlib_module_names
        and ".".join(found.split(".")[:2]) not in allowed
    ]
    assert not wrong
