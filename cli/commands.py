"""The command line of `footlight`: names, options and help. Standard library only, so that help and
mistyped options are answered before anything is fetched."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

DESCRIPTION = """\
Footlight: your own live-streaming site. OBS in, browsers out, less than a second apart.

    ./footlight up       fetches what is missing, starts everything, prints where it is
    ./footlight demo     a test picture on a running instance, for those without OBS
"""
# Their arguments belong to another program and are passed on as they are.
PASSED_ON = ("test", "bench")
BENCHMARKS = (
    "latency", "start", "edge", "ingest", "chat", "api", "vod", "floods", "soak", "backup",
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The whole command line. `module` of the result names what runs the command."""
    root = argparse.ArgumentParser(
        prog="footlight",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, summary: str, module: str, details: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.\n\n{details}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(module=module)
        return added

    _up(
        command(
            "up",
            "start everything in the foreground",
            "cli.up",
            "The first run fetches what is missing into a folder of its own, which it names.\n"
            "Ctrl-C stops all of it.",
        )
    )
    status = command("status", "what runs, on which port, healthy or not", "cli.status")
    _data(status)
    status.add_argument("--json", action="store_true", help="for programs")
    demo = command(
        "demo",
        "push a moving test card with a clock and sound to a running instance",
        "cli.demo",
        "Makes a channel named `demo` and prints the address of its page. Ctrl-C stops it.",
    )
    _data(demo)
    demo.add_argument("--seconds", type=_positive, metavar="N", help="stop after N seconds")
    _admin(command("admin", "accounts and keys of a running instance", "cli.admin"))
    _backup(
        command(
            "backup",
            "write the whole running instance to one archive",
            "cli.backup",
            "FILE is a path, s3://bucket/name or - for standard output. Without it the archive goes to\n"
            "FOOTLIGHT_BACKUP_PLACE under a dated name, and old ones there are removed.\n"
            "With --scheduled it takes one whenever it is due until it is stopped: for containers and\n"
            "systemd; `up` does it itself.",
        )
    )
    _restore(
        command(
            "restore",
            "make an instance of an archive of `backup`",
            "cli.restore",
            "All of the archive is checked before anything is touched. The instance must not run.",
        )
    )
    doctor = command("doctor", "check this machine and say how to mend what is wrong", "cli.doctor")
    _data(doctor)
    _ports(doctor)
    command(
        "update",
        "fetch the newest Debian packages of the servers",
        "cli.bootstrap",
        "They get no updates from the system. Restart `up` afterwards to use them.",
    )
    # Run by `up` alone, and not shown.
    commands.add_parser("prepare").set_defaults(module="cli.prepare")
    command(
        "migrate",
        "bring the database named by FOOTLIGHT_DATABASE_URL to the newest schema",
        "cli.migrate",
    )
    which = command(
        "nginx",
        "run one of the three nginx in the foreground, configured from the settings",
        "cli.serve_nginx",
        "For containers and systemd: `up` runs both itself.",
    )
    which.add_argument("which", choices=("edge", "ingest", "tls"))
    certificate = command(
        "certificate",
        "have the public name certified by FOOTLIGHT_ACME_DIRECTORY, and renew in time",
        "cli.certificates",
        "For containers and systemd: `up` does it itself.",
    )
    certificate.add_argument("--once", action="store_true", help="renew if it is time, and end")
    docs = command(
        "settings-docs", "write docs/configuration.md and .env.example", "cli.settings_docs"
    )
    docs.add_argument(
        "--check", action="store_true", help="write nothing; fail when they are out of date"
    )
    command("test", "run the tests; further arguments are pytest's", "cli.bootstrap")
    command(
        "bench",
        f"measure: one of {', '.join(BENCHMARKS)}",
        "cli.bench",
        "Further arguments belong to the benchmark: ./footlight bench latency --help",
    )
    return root


def _up(up: argparse.ArgumentParser) -> None:
    _data(up)
    _ports(up)
    up.add_argument(
        "--irc-port",
        type=_port,
        metavar="N",
        help="chat over IRC (default: the next free from 6667)",
    )
    up.add_argument("--no-setup", action="store_true", help="fetch and build nothing")
    # For development and tests: PostgreSQL, Redis, NATS and S3 without the services.
    up.add_argument("--servers-only", action="store_true", help=argparse.SUPPRESS)


def _data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder that holds everything of the instance (default: /var/lib/footlight as root, "
        "else ~/.local/share/footlight)",
    )


def _ports(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets others in (default: %(default)s)",
    )
    command.add_argument(
        "--http-port",
        type=_port,
        default=8080,
        metavar="N",
        help="web pages, API and video (default: 8080)",
    )
    command.add_argument(
        "--rtmp-port",
        type=_port,
        default=1935,
        metavar="N",
        help="where OBS connects (default: 1935)",
    )


def _backup(backup: argparse.ArgumentParser) -> None:
    _data(backup)
    backup.add_argument("file", nargs="?", metavar="FILE", help="where the archive goes")
    backup.add_argument(
        "--objects",
        choices=("copy", "reference"),
        help="copy every object, or only write down which there are "
        "(default: FOOTLIGHT_BACKUP_OBJECTS, copy)",
    )
    _passphrase(backup, "encrypt with the passphrase in its first line")
    backup.add_argument(
        "--scheduled",
        action="store_const",
        dest="module",
        const="cli.scheduled",
        help="for ever, every FOOTLIGHT_BACKUP_INTERVAL_HOURS; without FILE",
    )


def _restore(restore: argparse.ArgumentParser) -> None:
    _data(restore)
    restore.add_argument(
        "file",
        metavar="FILE",
        help="a path, s3://bucket/name, or - for standard input (`- < FILE`)",
    )
    restore.add_argument("--check", action="store_true", help="read all of it and restore nothing")
    restore.add_argument(
        "--secrets",
        type=Path,
        metavar="DIR",
        help="only write the secrets it holds to DIR, for an installation that keeps them itself",
    )
    restore.add_argument(
        "--replace", action="store_true", help="also where there is an instance already"
    )
    _passphrase(restore, "what it was encrypted with, in its first line")


def _passphrase(command: argparse.ArgumentParser, summary: str) -> None:
    command.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help=f"{summary} (default: FOOTLIGHT_BACKUP_PASSPHRASE)",
    )


def _admin(admin: argparse.ArgumentParser) -> None:
    _data(admin)
    tasks = admin.add_subparsers(dest="task", required=True, metavar="TASK")
    create = tasks.add_parser("create-user", help="make an account")
    create.add_argument("login")
    create.add_argument("--email", required=True)
    create.add_argument(
        "--role", default="viewer", choices=("viewer", "creator", "moderator", "admin")
    )
    create.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="its first line is the password (default: made up and printed)",
    )
    role = tasks.add_parser("set-role", help="change what an account may do")
    role.add_argument("login")
    role.add_argument("role", choices=("viewer", "creator", "moderator", "admin"))
    reset = tasks.add_parser(
        "reset-password", help="give an account a new password and end its logins"
    )
    reset.add_argument("login")
    reset.add_argument("--password-file", type=Path, metavar="FILE", help="as for create-user")
    tasks.add_parser("rotate-keys", help="sign tokens with a new key from now on")


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command and its options; `rest` holds what is passed on.

    Exits with help or a message as argparse does.
    """
    if arguments and arguments[0] in PASSED_ON and arguments[1:2] not in (["--help"], ["-h"]):
        options = parser().parse_args(arguments[:1])
        options.rest = arguments[1:]
        return options
    options = parser().parse_args(arguments or ["--help"])
    options.rest = []
    return options


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    status: int = importlib.import_module(options.module).main(options)
    return status
