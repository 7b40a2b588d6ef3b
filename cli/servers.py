"""The four real servers of an instance as process specs: PostgreSQL, Redis, NATS and an S3 endpoint
(rclone).

Each `…_spec` writes the server's configuration and says how it is started, probed and mended after
a crash.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import redis.asyncio
from redis.exceptions import RedisError

from cli.instance import Layout, SetupError, free_port, generated_secret, write_private
from cli.leftovers import end_processes_in
from cli.probe import answers
from cli.process import ProcessSpec
from cli.supervisor import Supervisor
from cli.toolchain import Toolchain

DATABASE = "footlight"
BUCKET = "footlight"

# Small machines: measured at 27 MB resident. JIT needs LLVM, which is left out of the unpacked
# packages.
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_duration_statement": "1000",
    # Parameters may hold credentials' hashes.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass(frozen=True)
class Servers:
    """Addresses and credentials of one instance's servers."""

    layout: Layout
    nats_port: int
    nats_monitor_port: int
    s3_port: int
    nats_password: str
    s3_access_key: str
    s3_secret_key: str

    @classmethod
    def choose(cls, layout: Layout, taken: set[int]) -> Servers:
        """Free loopback ports, and the credentials kept in the data folder (made at the first
        call).
        """
        return cls(
            layout,
            nats_port=free_port(taken),
            nats_monitor_port=free_port(taken),
            s3_port=free_port(taken),
            nats_password=generated_secret(layout.secrets, "nats_password"),
            s3_access_key=generated_secret(layout.secrets, "s3_access_key"),
            s3_secret_key=generated_secret(layout.secrets, "s3_secret_key"),
        )

    @property
    def database_url(self) -> str:
        return f"postgresql+asyncpg://{DATABASE}@/{DATABASE}?host={quote(str(self.layout.run), safe='/')}"

    @property
    def redis_socket(self) -> Path:
        return self.layout.run / "redis.sock"

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.redis_socket), safe='/')}"

    @property
    def nats_url(self) -> str:
        return f"nats://{DATABASE}:{self.nats_password}@127.0.0.1:{self.nats_port}"

    @property
    def s3_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.s3_port}"

    def specs(self, toolchain: Toolchain) -> list[ProcessSpec]:
        """All four, ready to be started side by side once `prepare_cluster` has run."""
        return [
            postgres_spec(self, toolchain),
            redis_spec(self, toolchain),
            nats_spec(self, toolchain),
            s3_spec(self, toolchain),
        ]


# --- PostgreSQL -----------------------------------------------------------------------------------


def cluster(layout: Layout) -> Path:
    """The folder of the database cluster."""
    return layout.data / "postgres"


async def prepare_cluster(layout: Layout, toolchain: Toolchain, supervisor: Supervisor) -> None:
    """Make the database cluster unless there is one. Raises SetupError for one of another major
    version.
    """
    folder = cluster(layout)
    program = toolchain.program("postgres")
    major = program.version().split(".")[0]
    version_file = folder / "PG_VERSION"
    if version_file.exists():
        present = version_file.read_text().strip()
        if present != major:
            raise SetupError(
                f"The database in {folder} was made by PostgreSQL {present}, but {program.path} is version "
                f"{major}.\nTake a backup with the version that made it, and restore it into an empty folder."
            )
        return
    # Made aside and renamed: a folder that bears the name is complete.
    draft = folder.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    initdb = toolchain.program("initdb")
    await supervisor.run(
        "Creating the database",
        [
            str(initdb.path),
            f"--pgdata={draft}",
            f"--username={DATABASE}",
            "--auth-local=peer",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-instructions",
        ],
        log="postgres",
        cwd=layout.data,
        environment=initdb.environment,
    )
    draft.rename(folder)


def postgres_spec(servers: Servers, toolchain: Toolchain) -> ProcessSpec:
    """PostgreSQL on a unix socket; the operating system's user is its one role (peer
    authentication).
    """
    layout = servers.layout
    program = toolchain.program("postgres")
    user = pwd.getpwuid(os.geteuid()).pw_name.replace('"', '""')
    folder = layout.data / "postgres-conf"
    folder.mkdir(mode=0o700, exist_ok=True)
    hba, ident = folder / "pg_hba.conf", folder / "pg_ident.conf"
    write_private(hba, f"local all {DATABASE} peer map=footlight\n")
    write_private(ident, f'footlight "{user}" {DATABASE}\n')
    settings = {
        **POSTGRES_SETTINGS,
        "unix_socket_directories": f'"{layout.run}"',
        "hba_file": str(hba),
        "ident_file": str(ident),
    }
    options = [
        argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")
    ]
    data = cluster(layout)

    async def mend() -> None:
        await end_processes_in(data, signal.SIGQUIT)
        # Left by a crash, it may name the pid of an unrelated process, and then blocks the start.
        # We hold the instance's lock and nobody works in the folder: it is nobody's.
        (data / "postmaster.pid").unlink(missing_ok=True)
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (layout.run / name).unlink(missing_ok=True)

    return ProcessSpec(
        name="postgres",
        url=servers.database_url,
        title="PostgreSQL",
        argv=(str(program.path), "-D", str(data), *options),
        cwd=layout.data,
        environment={**program.environment, "PGDATA": str(data), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        ready=lambda: postgres_answers(layout.run),
        before_start=mend,
        ready_timeout_s=120,  # replaying the log after a crash may take its time
        # SIGTERM would wait for every client to leave.
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        stop_timeout_s=8,
    )


async def postgres_answers(run: Path, database: str = "postgres") -> bool:
    """Whether PostgreSQL accepts a session on the socket in `run`."""
    try:
        connection = await asyncpg.connect(
            host=str(run), user=DATABASE, database=database, timeout=3
        )
        # Leaving in order may take a busy server too long, too.
        await connection.close(timeout=3)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


async def create_database(run: Path, name: str = DATABASE) -> bool:
    """Create the database `name` (letters, digits, underscores) if it is not there; whether it was
    made.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise ValueError(f"not a plain database name: {name!r}")
    connection = await asyncpg.connect(host=str(run), user=DATABASE, database="postgres", timeout=5)
    try:
        if await connection.fetchval("select 1 from pg_database where datname = $1", name):
            return False
        await connection.execute(f'create database "{name}"')
        return True
    finally:
        await connection.close(timeout=5)


# --- Redis ----------------------------------------------------------------------------------------


def redis_spec(servers: Servers, toolchain: Toolchain) -> ProcessSpec:
    """Redis on a unix socket in our private run folder, with an append-only file."""
    folder = servers.layout.data / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    configuration = folder / "redis.conf"
    write_private(
        configuration,
        "\n".join(
            (
                "port 0",
                f'unixsocket "{servers.redis_socket}"',
                "unixsocketperm 700",
                f'dir "{folder}"',
                "appendonly yes",
                # Ours is a few megabytes: rewritten sooner than the usual 64, it is read in no time at a start.
                "auto-aof-rewrite-min-size 16mb",
                "daemonize no",
                # A write that finds no memory fails; nothing is thrown away behind our back.
                "maxmemory-policy noeviction",
                "",
            )
        ),
    )
    program = toolchain.program("redis-server")
    client_url = servers.redis_url

    async def remove_socket() -> None:
        servers.redis_socket.unlink(missing_ok=True)

    return ProcessSpec(
        name="redis",
        url=servers.redis_url,
        title="Redis",
        argv=(str(program.path), str(configuration)),
        cwd=folder,
        environment=program.environment,
        ready=lambda: redis_answers(client_url),
        before_start=remove_socket,
    )


async def redis_answers(url: str) -> bool:
    """Whether Redis has loaded its data and answers a PING."""
    client = redis.asyncio.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    try:
        return bool(await client.ping())
    except (OSError, RedisError):
        return False
    finally:
        await client.aclose()


# --- NATS -----------------------------------------------------------------------------------------


def nats_spec(servers: Servers, toolchain: Toolchain) -> ProcessSpec:
    """NATS with JetStream on loopback ports."""
    folder = servers.layout.data / "nats"
    folder.mkdir(mode=0o700, exist_ok=True)
    configuration = folder / "nats.conf"
    write_private(
        configuration,
        f"""listen: "127.0.0.1:{servers.nats_port}"
http: "127.0.0.1:{servers.nats_monitor_port}"
authorization {{ user: {DATABASE}, password: $FOOTLIGHT_NATS_PASSWORD }}
jetstream {{
  store_dir: "{folder}"
  # An acknowledged event survives a power cut; 6,000 publishes/s were measured all the same.
  sync_interval: always
}}
max_payload: 1MB
""",
    )
    program = toolchain.program("nats-server")
    monitor = f"http://127.0.0.1:{servers.nats_monitor_port}"
    return ProcessSpec(
        name="nats",
        title="NATS",
        url=servers.nats_url,
        argv=(str(program.path), "-c", str(configuration)),
        cwd=folder,
        environment={**program.environment, "FOOTLIGHT_NATS_PASSWORD": servers.nats_password},
        # Clients wait two seconds after a refused connection: /healthz says first that JetStream
        # is up.
        ready=lambda: answers(monitor, "/healthz"),
    )


# --- S3 -------------------------------------------------------------------------------------------


# Some 100,000 objects: 30 hours of broadcasts.
S3_MEMORY = 192 * 2**20


def s3_spec(servers: Servers, toolchain: Toolchain) -> ProcessSpec:
    """rclone serving the folder `s3` with S3's protocol on a loopback port."""
    folder = servers.layout.data / "s3"
    folder.mkdir(mode=0o700, exist_ok=True)
    program = toolchain.program("rclone")
    arguments = ("serve", "s3", "--addr", f"127.0.0.1:{servers.s3_port}")
    return ProcessSpec(
        name="s3",
        title="S3 storage",
        url=servers.s3_endpoint,
        # A folder's list is read anew when it is this old, and then in whole for a single object: 0.25 s of
        # processor time where there are 20,000. Nobody else writes into it.
        argv=(str(program.path), *arguments, "--dir-cache-time", "1h", "--no-modtime", str(folder)),
        cwd=folder,
        environment={
            **program.environment,
            "RCLONE_AUTH_KEY": f'"{servers.s3_access_key},{servers.s3_secret_key}"',
            # Neither the user's remotes nor a file of ours.
            "RCLONE_CONFIG": "",
            "RCLONE_CACHE_DIR": str(servers.layout.data / "s3-cache"),
            # It remembers every object that it was given: 2.7 KB each, and with this 1.6.
            "GOGC": "25",
        },
        most_memory=S3_MEMORY,
        # It serves once it answers at all; a request without a signature is refused in one of
        # these ways.
        ready=lambda: answers(servers.s3_endpoint, "/", 200, 400, 403),
        before_start=lambda: clear_partial_objects(folder),
        # rclone ends at once: requests of a stopping service are over by then.
        stop_timeout_s=3,
    )


async def clear_partial_objects(folder: Path) -> None:
    """Remove what a killed rclone left half written."""

    def clear() -> None:
        for left in folder.rglob(".rclone_temp_*"):
            left.unlink(missing_ok=True)

    await asyncio.to_thread(clear)
