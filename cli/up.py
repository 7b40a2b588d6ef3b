"""`footlight up`: everything one instance is made of, started in order, kept running, and stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import ValidationError

from cli.connection import wrong_settings
from cli.instance import (
    Layout,
    SetupError,
    data_lock,
    free_port,
    port_problem,
    shown,
    write_private,
)
from cli.leftovers import end_leftovers
from cli.renewal import follow
from cli.replacing import settle
from cli.schedule import backups_taken
from cli.servers import BUCKET, Servers, cluster, create_database, prepare_cluster
from cli.services import (
    ADMIN,
    ANY_ADDRESS,
    FREE_DISK_BYTES,
    PROCESS_FOLDERS,
    Options,
    Services,
)
from cli.source import SOURCE, tree_hash
from cli.supervisor import CommandFailed, StartFailed, Supervisor
from cli.toolchain import MissingProgram, Toolchain, default_data
from cli.versions import note, refuse_newer
from core.settings import PREFIX


def say(title: str, event: str) -> None:
    """One line on the terminal. A terminal that has gone away is no reason to stop."""
    with contextlib.suppress(OSError):
        print(f"{time.strftime('%H:%M:%S')}  {title:<12} {event}", flush=True)


def main(arguments: argparse.Namespace) -> int:
    """Run `up` in the foreground; the process's exit status."""
    data = (arguments.data or default_data(os.environ)).absolute()
    options = Options(
        data=data,
        host=numeric(arguments.host),
        http_port=arguments.http_port,
        rtmp_port=arguments.rtmp_port,
        irc_port=arguments.irc_port,
        servers_only=arguments.servers_only,
    )
    layout = Layout.of(options.data)
    try:
        layout.prepare()
        with data_lock(layout.data):
            settle(layout)
            refuse_newer(layout.data)
            return asyncio.run(_foreground(options, layout))
    except (SetupError, MissingProgram) as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1


async def _foreground(options: Options, layout: Layout) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("not called from a task")
    asked = asyncio.Event()

    def stop() -> None:
        # Later signals change nothing: stopping has deadlines of its own.
        if not asked.is_set():
            asked.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        await Instance(options, layout, Toolchain.from_environment()).run()
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
        task.uncancel()
        return 0
    except (StartFailed, CommandFailed) as failure:
        print(f"\nfootlight: {failure}. Its last lines:", file=sys.stderr)
        print("".join(f"    {line}\n" for line in failure.tail[-12:]), end="", file=sys.stderr)
        print(f"The whole log: {shown(failure.log)}", file=sys.stderr)
        return 1
    return 1


class Instance:
    """One run of `up` on one data folder, which the caller has locked."""

    def __init__(self, options: Options, layout: Layout, toolchain: Toolchain) -> None:
        self.options = options
        self.layout = layout
        self.toolchain = toolchain
        taken = {options.http_port, options.rtmp_port}
        self.servers = Servers.choose(layout, taken)
        rtmp_http_port = free_port(taken)
        irc_port = 0 if options.servers_only else free_irc_port(options, taken)
        # Chat processes share the port, so nothing keeps those of another instance that starts at the
        # same time off it but a claim that is made now.
        self._irc_claim = claim(options.host, irc_port) if irc_port else None
        self.services = Services(
            options, layout, self.servers, toolchain, rtmp_http_port, irc_port, free_port(taken)
        )
        self._began = time.monotonic()
        self._ready = False
        self._first_run = False
        self._over = threading.Event()

    async def run(self) -> None:
        """Start everything and keep it running until cancelled."""
        self.layout.instance_file.unlink(missing_ok=True)
        await end_leftovers(self.layout.data, PROCESS_FOLDERS)
        self._check()
        media = self.layout.prepare_media()
        try:
            async with Supervisor(
                self.layout.logs, SOURCE, say, self._write_instance_file
            ) as self.supervisor:
                try:
                    await self._start()
                    async with self._backups():
                        await self.supervisor.failed.wait()
                finally:
                    self._over.set()
                    self._ready = False
                    self.layout.instance_file.unlink(missing_ok=True)
                    say("Footlight", "stopping")
        finally:
            os.close(media)
            if self._irc_claim is not None:
                self._irc_claim.close()
            self.layout.remove_transient()
            say("Footlight", "stopped")

    def _check(self) -> None:
        free = shutil.disk_usage(self.layout.data).free
        if free < FREE_DISK_BYTES:
            raise SetupError(
                f"{shown(self.layout.data)} has {free / 1e9:.1f} GB free; Footlight needs "
                f"{FREE_DISK_BYTES / 1e9:.1f} GB.\n"
                "Free some space, or name a folder on another disk with --data."
            )
        try:
            settings = self.services.settings()
        except ValidationError as problem:
            raise SetupError(wrong_settings(problem)) from problem
        for text in settings.mistyped():
            say("Settings", text)
        if not self.options.servers_only:
            check_port("The web port", "--http-port", self.options.host, self.options.http_port)
            check_port("The RTMP port", "--rtmp-port", self.options.host, self.options.rtmp_port)
            if self.options.host not in ANY_ADDRESS:
                # Workers of ingest pull streams there.
                check_port("The RTMP port", "--rtmp-port", "127.0.0.1", self.options.rtmp_port)

    async def _start(self) -> None:
        supervisor, services = self.supervisor, self.services
        if not self.options.servers_only:
            supervisor.preload()
        self._first_run = not cluster(self.layout).exists()
        if self._first_run:
            say("PostgreSQL", "making the database")
        await prepare_cluster(self.layout, self.toolchain, supervisor)
        await supervisor.start(self.servers.specs(self.toolchain))
        await self._prepare(new=await create_database(self.layout.run))
        if not self.options.servers_only:
            services.write_targets()
            await supervisor.start(services.specs())
            certificate = services.certificate()
            await supervisor.start([services.edge()])
            await supervisor.start([services.rtmp()])
            await supervisor.start([*services.tls(), *certificate])
            self._follow_certificate()
        self._ready = True
        self._write_instance_file()
        if not self.options.servers_only:
            print(self._welcome(), flush=True)

    def _follow_certificate(self) -> None:
        """Have those who use the certificate load it again when it is renewed."""
        files = self.services.settings().certificate

        def reload() -> None:
            for process in self.supervisor.processes:
                if process.spec.name in ("edge", "tls") and process.pid is not None:
                    os.kill(process.pid, signal.SIGHUP)
            say("Footlight", "has loaded its new certificate")

        threading.Thread(target=follow, args=(files, reload, self._over), daemon=True).start()

    async def _prepare(self, *, new: bool) -> None:
        """Schema, bucket, first administrator; nothing when all that was done by this version before."""
        done = self.layout.data / "prepared"
        if new or not done.exists() or done.read_text() != self._preparation():
            await self._command("Preparing database and storage", "prepare")
            done.write_text(self._preparation())
        note(self.layout.data)

    def _preparation(self) -> str:
        """What was prepared and with what: another database, schema or object store gives another text."""
        migrations = SOURCE / "core/db/migrations"
        schema = tree_hash(sorted(migrations.rglob("*.py")), migrations)
        database = cluster(self.layout).stat().st_ino
        return f"{schema} {database} {(self.layout.data / 's3' / BUCKET).exists()}\n"

    def _backups(self) -> AbstractAsyncContextManager[None]:
        """Backups are taken while it is entered, if the settings name a place for them."""
        if self.options.servers_only:
            return contextlib.nullcontext()

        async def take() -> None:
            data = ("--data", str(self.layout.data))
            await self._command("Backup", "backup", *data, log="backup")

        return backups_taken(
            self.services.settings(),
            take,
            lambda place: say("Backup", f"taken, in {place}"),
            lambda problem: say("Backup", f"failed: {problem}; log: backup.log"),
        )

    async def _command(self, title: str, *arguments: str, log: str = "setup") -> None:
        """Run a command of this CLI with the instance's settings, to its end. Nobody who watches waits for
        it: it is nice.
        """
        nice = ("nice", "-n", "10") if self._ready else ()
        await self.supervisor.run(
            title,
            [*nice, sys.executable, "-P", "-m", "cli", *arguments],
            log=log,
            cwd=SOURCE,
            environment={**self.services.environment(), "PYTHONPATH": str(SOURCE)},
        )

    def _welcome(self) -> str:
        services = self.services
        lines = [
            f"Footlight is ready ({time.monotonic() - self._began:.1f} s).",
            "",
            f"    Watch, sign in     {services.public_url}",
            f"    Stream with OBS    server {services.rtmp_url}, stream key: make one on your dashboard",
            f"    Administrator      login {ADMIN}, password {self._admin_password()}"
            if self._first_run
            else f"    Administrator      login {ADMIN}, first password in "
            f"{shown(self.layout.secrets / 'admin_password')}",
            f"    Everything is in   {shown(self.layout.data)}",
        ]
        if self.options.host in ("127.0.0.1", "::1"):
            lines.append("    Only this machine reaches it; --host 0.0.0.0 lets others in.")
        return "\n".join(["", *lines, "", "Ctrl-C stops it.", ""])

    def _admin_password(self) -> str:
        """The password that the first administrator was made with."""
        return (self.layout.secrets / "admin_password").read_text().strip()

    def _write_instance_file(self) -> None:
        if not self._ready:
            return
        services = self.services
        content: dict[str, Any] = {
            "pid": os.getpid(),
            "http": services.public_url,
            "rtmp": services.rtmp_url,
            "admin": {"login": ADMIN, "password": self._admin_password()},
            "services": {
                process.spec.name: {
                    "url": process.spec.url,
                    "pid": process.pid,
                    "state": process.state.value,
                }
                for process in self.supervisor.processes
            },
            "irc_port": services.irc_port or None,
            "database": self.servers.database_url,
            "redis": self.servers.redis_url,
            "nats": self.servers.nats_url,
            "s3": {
                "endpoint": self.servers.s3_endpoint,
                "access_key": self.servers.s3_access_key,
                "secret_key": self.servers.s3_secret_key,
                "bucket": BUCKET,
            },
            # For our own commands and tests: the settings that the services have.
            "environment": {**services.environment(), **_backup_settings()},
        }
        write_private(self.layout.instance_file, json.dumps(content, indent=2) + "\n")


def _backup_settings() -> dict[str, str]:
    """Where backups go and how is `backup`'s business, which may be called from another shell."""
    return {
        name: value for name, value in os.environ.items() if name.startswith(f"{PREFIX}BACKUP_")
    }


# Where IRC servers usually listen; the first free one is taken.
IRC_PORTS = range(6667, 6767)


def free_irc_port(options: Options, taken: set[int]) -> int:
    """The port of `--irc-port`, or the next free one from 6667. Raises SetupError."""
    if options.irc_port is not None:
        check_port("The IRC port", "--irc-port", options.host, options.irc_port)
        return options.irc_port
    for port in IRC_PORTS:
        if port not in taken and port_problem(options.host, port) is None:
            return port
    raise SetupError(
        f"No free port for IRC from {IRC_PORTS.start} to {IRC_PORTS.stop - 1}. Choose one with --irc-port."
    )


def claim(host: str, port: int) -> socket.socket:
    """A socket that holds a port without listening: only our own processes, which share it, get it too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, port))
    return held


def numeric(host: str) -> str:
    """The first address of `host`; `host` itself when it has none, which the check of ports explains."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return host


def check_port(what: str, option: str, host: str, port: int) -> None:
    """Raises SetupError, with what to do, when a server could not listen on `host`:`port`."""
    problem = port_problem(host, port)
    if problem is None:
        return
    if problem == errno.EACCES:
        raise SetupError(
            f"{what} {port} is reserved for root. Choose one above 1023: ./footlight up {option} {port + 8000}"
        )
    if problem == errno.EADDRNOTAVAIL:
        raise SetupError(f"{host} is not an address of this machine. Choose another with --host.")
    raise SetupError(
        f"{what} {port} is in use on {host} by another program.\n"
        f"Stop that program, or choose another port: ./footlight up {option} {port + 1}"
    )
