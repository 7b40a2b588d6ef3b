"""What the launcher starts: gives up root, sets up what is missing, and becomes the command.

Standard library only. The process keeps its pid through all of it: `./footlight up` started by a
service manager is the process that is signalled in the end.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
# Of the toolchain's folder: modules as Python compiles them.
COMPILED = "cache/pycache"
# Most tests wait for something; those that measure time stay together (tests/conftest.py).
WHOLE_SUITE = ["-n", "3"]
if __name__ == "__main__":
    # In the place of this file's own folder, whose modules are not top-level ones.
    sys.path[0] = str(SOURCE)

from cli.commands import parse  # noqa: E402
from cli.instance import MOUNTS, SetupError  # noqa: E402
from cli.privilege import (  # noqa: E402
    HOME,
    become_and_run,
    can_reach,
    claim_data_folder,
    copied_source,
    hold,
    interpreter,
    owned_folder,
    run_tests,
    system_user,
    user_environment,
)
from cli.setup import Setup, SetupFailed, text_hash  # noqa: E402
from cli.toolchain import default_data, default_root  # noqa: E402


def main(arguments: list[str]) -> int:
    """Run `footlight` with `arguments`. Returns a status only when it ends here; else it becomes
    the command.
    """
    options = parse(arguments)
    if getattr(options, "data", None):
        options.data = options.data.expanduser().absolute()
        arguments = _with_data(arguments, options.data)
    arguments = _with_paths(arguments, options)
    try:
        if os.geteuid() == 0:
            return as_root(options, arguments)
        return as_user(options, arguments)
    except (SetupError, SetupFailed) as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nfootlight: interrupted", file=sys.stderr)
        return 130


def _with_data(arguments: list[str], data: Path) -> list[str]:
    """The arguments with `--data` named by its absolute path, since the working folder changes."""
    kept = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--data":
            next(rest, None)
        elif not argument.startswith("--data="):
            kept.append(argument)
    return [kept[0], "--data", str(data), *kept[1:]]


def _with_paths(arguments: list[str], options: argparse.Namespace) -> list[str]:
    """The arguments of `backup` and `restore` with every path absolute, as for `--data`."""
    if options.command not in ("backup", "restore"):
        return arguments
    named = [getattr(options, name, None) for name in ("file", "passphrase_file", "secrets")]
    paths = {str(path) for path in named if path is not None}
    return [_absolute(argument, paths) for argument in arguments]


def _absolute(argument: str, paths: set[str]) -> str:
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", "")
    path = value if equals else argument
    if path not in paths or path == "-" or path.startswith("s3://"):
        return argument
    return f"{option}{equals}{Path(path).expanduser().absolute()}"


def _with_rights(
    options: argparse.Namespace, arguments: list[str], environment: dict[str, str]
) -> list[str]:
    """What root may read of a backup, and the system user may not, is handed to it: the archive as standard
    input, the passphrase in the environment.
    """
    try:
        if options.command in ("backup", "restore") and options.passphrase_file is not None:
            line = options.passphrase_file.read_text().partition("\n")[0].rstrip("\r")
            environment["FOOTLIGHT_BACKUP_PASSPHRASE"] = line
            arguments = _without_option(arguments, "--passphrase-file")
        if options.command == "restore" and options.file.partition("://")[0] not in ("-", "s3"):
            archive = os.open(options.file, os.O_RDONLY)
            os.dup2(archive, 0)
            os.close(archive)
            path = str(Path(options.file).expanduser().absolute())
            arguments = ["-" if argument == path else argument for argument in arguments]
    except OSError as error:
        raise SetupError(f"{error.filename} cannot be read: {error.strerror}") from error
    return arguments


def _without_option(arguments: list[str], option: str) -> list[str]:
    kept = []
    rest = iter(arguments)
    for argument in rest:
        if argument == option:
            next(rest, None)
        elif not argument.startswith(f"{option}="):
            kept.append(argument)
    return kept


# --- as root --------------------------------------------------------------------------------------


def as_root(options: argparse.Namespace, arguments: list[str]) -> int:
    """Prepare what only root can, then go on as the system user."""
    user = system_user()
    owned_folder(HOME, user)
    toolchain = default_root(os.environ)
    owned_folder(toolchain, user)
    if not can_reach(toolchain, user):
        raise SetupError(
            f"The user `{user.pw_name}` cannot reach {toolchain}.\nName another folder with FOOTLIGHT_TOOLCHAIN."
        )
    environment = {**user_environment(user, HOME), "FOOTLIGHT_TOOLCHAIN": str(toolchain)}
    if options.command == "test":
        again = [interpreter(), "-B", "-E", str(SOURCE / "cli/bootstrap.py"), *arguments]
        return run_tests(SOURCE, again, user, environment, toolchain / COMPILED)
    mount = None
    if hasattr(options, "data"):
        data = options.data or default_data(os.environ)
        if options.command in ("up", "restore"):
            claim_data_folder(data, user)
        if data.is_dir() and not can_reach(data, user):
            mount = (data, MOUNTS / text_hash(data.resolve()))
            environment["FOOTLIGHT_MOUNTED_DATA"] = str(data)
            data = mount[1]
        arguments = _with_data(arguments, data)
    arguments = _with_rights(options, arguments, environment)
    low_ports = any(
        getattr(options, name, 0) in range(1, 1024) for name in ("http_port", "rtmp_port")
    )
    copy = copied_source(SOURCE, HOME.parent / "footlight-source")
    again = [interpreter(), "-B", "-E", str(copy / "cli/bootstrap.py"), *arguments]
    become_and_run(again, user, environment, low_ports=low_ports, mount=mount)
    raise AssertionError("become_and_run returned")


# --- as whoever runs it ---------------------------------------------------------------------------


def as_user(options: argparse.Namespace, arguments: list[str]) -> int:
    """Set up what is missing and become the command in the toolchain's Python."""
    hold(SOURCE)
    root = default_root(os.environ)
    # Benchmarks need what tests need: a browser, numpy and the like.
    tests = options.command in ("test", "bench")
    setup = Setup(SOURCE, root, tests=tests)
    if options.command == "update":
        setup.update_packages()
        print(
            "The newest packages are there. An instance that runs uses them after its next start."
        )
        return 0
    if getattr(options, "no_setup", False):
        if not setup.hold():
            raise SetupFailed(
                f"{root} does not hold all that is needed. Run once without --no-setup."
            )
    else:
        setup.ensure()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    environment.update(
        FOOTLIGHT_TOOLCHAIN=str(root),
        FOOTLIGHT_TOOLCHAIN_VIEW=str(setup.view),
        PYTHONPATH=str(SOURCE),
        # Compiled modules go beside the tools: the source may be read-only, and is nobody's dump.
        PYTHONPYCACHEPREFIX=str(root / COMPILED),
    )
    if tests:
        # The one that Playwright brings needs a library that a small system lacks.
        environment["PLAYWRIGHT_NODEJS_PATH"] = str(setup.node()[0])
    if options.command == "test":
        os.chdir(SOURCE)
        chosen = options.rest or WHOLE_SUITE
        become = [str(setup.python), "-P", "-m", "pytest", *_caches(environment), *chosen]
    else:
        become = [str(setup.python), "-P", "-m", "cli", *arguments]
    sys.stdout.flush()
    os.execve(become[0], become, environment)  # noqa: S606
    raise AssertionError("execve returned")


def _caches(environment: dict[str, str]) -> list[str]:
    """pytest's arguments to keep its notes elsewhere when the source is read-only; hypothesis is told too."""
    if os.access(SOURCE, os.W_OK):
        return []
    environment["HYPOTHESIS_STORAGE_DIRECTORY"] = str(Path.home() / ".hypothesis")
    return ["-o", f"cache_dir={Path.home() / '.pytest_cache'}"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
