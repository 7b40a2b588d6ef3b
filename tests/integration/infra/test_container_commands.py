"""Every container's exact command with its exact environment, on this machine, against the real servers.

No container engine is needed: `tests.compose_kit.Machine.substitute` puts other host names, ports and volume
roots, and nothing else. What no test here runs are the image builds themselves, and the programs that this
machine does not have: Alertmanager, Grafana, Loki and Alloy.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import asyncpg
import boto3
import pytest

from cli.servers import redis_answers
from tests.compose_kit import Machine, machine, versitygw
from tests.e2e.rtmp import Connection, Rejected
from tests.harness import eventually, eventually_async

pytestmark = pytest.mark.timeout(300)

SERVERS = ("postgres", "redis", "nats", "s3")
OURS = ("api", "chat", "recorder", "worker", "ingest", "rtmp", "edge")


def start_postgres(here: Machine) -> None:
    """Its image's entrypoint makes the cluster and the database around the command."""
    here.prepare("postgres")
    given = here.environment("postgres")
    password = here.root / "password"
    password.write_text(given["POSTGRES_PASSWORD"])
    password.chmod(0o600)
    argv, needed = here.argv("postgres", ["initdb", "-D", given["PGDATA"]])
    user = ["--username", given["POSTGRES_USER"], "--pwfile", str(password)]
    options = shlex.split(given["POSTGRES_INITDB_ARGS"])
    subprocess.run(
        [*argv, *user, *options], env={**given, **needed}, check=True, capture_output=True
    )
    here.start("postgres")


async def create_database(here: Machine) -> None:
    given = here.environment("postgres")
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=here.port("postgres", 5432),
        user=given["POSTGRES_USER"],
        password=given["POSTGRES_PASSWORD"],
        database="postgres",
    )
    await connection.execute(f'create database "{given["POSTGRES_DB"]}"')
    await connection.close()


def start_s3(here: Machine) -> None:
    """versitygw, or where this machine has none the S3 server that `up` runs, with the same keys."""
    program = versitygw()
    arguments = [here.substitute("s3", word) for word in here.services["s3"]["command"]]
    if program:
        here.start("s3", [program, *arguments])
        return
    given = here.environment("s3")
    here.services["s3"]["environment"]["RCLONE_AUTH_KEY"] = (
        f'"{given["ROOT_ACCESS_KEY"]},{given["ROOT_SECRET_KEY"]}"'
    )
    address = f"127.0.0.1:{here.port('s3', 7070)}"
    here.start("s3", ["rclone", "serve", "s3", "--addr", address, "--no-modtime", arguments[-1]])


def s3_answers(here: Machine) -> bool:
    given = here.environment("migrate")
    client = boto3.client(
        "s3",
        endpoint_url=given["FOOTLIGHT_S3_ENDPOINT"],
        aws_access_key_id=given["FOOTLIGHT_S3_ACCESS_KEY"],
        aws_secret_access_key=given["FOOTLIGHT_S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    try:
        client.list_buckets()
    except Exception:
        return False
    return True


@pytest.fixture(scope="module")
def here() -> Iterator[Machine]:
    """All that is ours, started in the file's order: servers, migrations, services."""
    with machine("all") as made:
        start_postgres(made)
        start_s3(made)
        for name in ("redis", "nats"):
            made.start(name)
        for name in ("postgres", "redis", "nats"):
            made.wait(name)
        eventually(lambda: s3_answers(made), within_s=60, what="S3 answers")
        asyncio.run(create_database(made))
        made.start("migrate")
        made.wait("migrate")
        for name in ("ingest-network", "api", "chat", "recorder", "worker", "ingest", "edge"):
            made.start(name)
        made.wait("ingest")
        made.start("rtmp")
        for name in OURS:
            made.wait(name)
        yield made


def admin_password(here: Machine) -> str:
    """Where docs/install.md has the admin look."""
    return (here.root / "volumes/admin/secrets/admin_password").read_text().strip()


async def admin(here: Machine, http: aiohttp.ClientSession) -> dict[str, str]:
    """Headers of the first administrator's requests."""
    login = {"login": "admin", "password": admin_password(here)}
    async with http.post("/api/v1/auth/login", json=login) as answer:
        assert answer.status == 200, await answer.text()
        return {"Authorization": f"Bearer {(await answer.json())['access_token']}"}


async def test_somebody_streams_and_is_seen(here: Machine) -> None:
    site = f"http://127.0.0.1:{here.port('edge', 8080)}"
    async with aiohttp.ClientSession(site) as http:
        async with http.get("/readyz") as answer:
            assert answer.status == 200, await answer.text()
        async with http.get("/") as answer:
            assert answer.status == 200
            assert "<html" in await answer.text()
        headers = await admin(here, http)
        async with http.post(
            "/api/v1/me/stream-keys", json={"name": "test"}, headers=headers
        ) as answer:
            assert answer.status == 201, await answer.text()
            key = (await answer.json())["key"]

        async def playing() -> bool:
            async with http.get("/live/admin/index.m3u8") as answer:
                return answer.status == 200

        pushing = push(here, key)
        try:
            await eventually_async(playing, within_s=60, what="the stream plays")
        finally:
            pushing.terminate()
            pushing.wait(10)

        async def kept() -> bool:
            async with http.get("/api/v1/videos", params={"channel": "admin"}) as answer:
                return any(item["status"] == "ready" for item in (await answer.json())["items"])

        await eventually_async(kept, within_s=60, what="the broadcast is a video")


def push(here: Machine, key: str) -> subprocess.Popen[bytes]:
    """A test card over RTMP, as OBS would send it."""
    source = [
        "-re",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=25",
        "-f",
        "lavfi",
        "-i",
        "sine",
    ]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-t", "60"]
    url = f"rtmp://127.0.0.1:{here.port('rtmp', 1935)}/live/{key}"
    program = str(here.toolchain.ffmpeg())
    return subprocess.Popen([program, "-v", "error", *source, *codecs, "-f", "flv", url])


async def test_metrics_are_where_prometheus_looks(here: Machine) -> None:
    async with aiohttp.ClientSession() as http:
        for target in prometheus_targets(here):
            async with http.get(f"http://{target}/metrics") as answer:
                assert answer.status == 200, target
                assert "footlight_" in await answer.text()


async def test_a_setting_reaches_every_process(here: Machine) -> None:
    """The worker of jobs too, which is no process of its own under `up`."""
    site = f"http://127.0.0.1:{here.port('edge', 8080)}"
    async with aiohttp.ClientSession(site) as http:
        headers, change = await admin(here, http), {"tagline": "Everywhere"}
        async with http.patch("/api/v1/admin/settings", json=change, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            version = int((await answer.json())["version"])

        async def everywhere() -> bool:
            found = [
                await metric(here, name, "footlight_settings_version")
                for name in ("api", "chat", "ingest-network", "recorder", "worker")
            ]
            return found == [version] * len(found)

        await eventually_async(everywhere, within_s=10, what="every process has it")


async def metric(here: Machine, name: str, wanted: str) -> float:
    """A metric without labels of the service that is at `name`."""
    address = f"http://127.0.0.1:{here.port(name, 9100)}/metrics"
    async with aiohttp.ClientSession() as http, http.get(address) as answer:
        found = re.search(rf"^{wanted} (\S+)$", await answer.text(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def prometheus_targets(here: Machine) -> list[str]:
    """The processes of ours that the file's Prometheus reads. It asks the engine's DNS for workers."""
    here.prepare("prometheus")
    mounted = here.root / "prometheus/etc-prometheus/targets"
    files = [json.loads(file.read_text()) for file in mounted.glob("*.json")]
    found = [target for groups in files for group in groups for target in group["targets"]]
    assert len(found) == 5, found
    return [*found, f"127.0.0.1:{here.port('worker', 9100)}"]


async def test_chat_speaks_irc(here: Machine) -> None:
    with socket.create_connection(("127.0.0.1", here.port("chat", 6667)), timeout=5) as irc:
        irc.sendall(b"NICK justinfan1\r\n")
        assert b" 001 " in irc.recv(4096)


async def test_redis_wants_its_password(here: Machine) -> None:
    port = here.port("redis", 6379)
    assert str(port) in arguments(here, "redis")
    assert here.env["REDIS_PASSWORD"] not in arguments(here, "redis")
    assert not await redis_answers(f"redis://127.0.0.1:{port}/0")
    assert await redis_answers(f"redis://:{here.env['REDIS_PASSWORD']}@127.0.0.1:{port}/0")


def arguments(here: Machine, name: str) -> str:
    """What every user of a machine may read of a process."""
    return Path(f"/proc/{here.processes[name].popen.pid}/cmdline").read_text()


def test_backups_are_taken(here: Machine) -> None:
    """The first one is due at once."""
    folder = here.root / "volumes/backup"
    process = here.start("backup")

    def noted() -> bool:
        return '"backup_taken"' in process.text()

    try:
        eventually(noted, within_s=60, what="a backup")
    except AssertionError as late:
        raise AssertionError(f"{late}; it said:\n{process.text()[-4000:]}") from None
    [name] = [path.name for path in folder.iterdir()]
    assert re.fullmatch(r"footlight-\d{8}T\d{6}Z\.tar", name)
    assert here.stop("backup") == 0


@pytest.mark.long  # as long as its interval of 15 s
async def test_prometheus_finds_everything_up(here: Machine) -> None:
    if here.toolchain.find("prometheus") is None:
        pytest.fail("Debian's prometheus is part of the test programs")
    here.start("prometheus")
    here.wait("prometheus")
    url = f"http://127.0.0.1:{here.port('prometheus', 9090)}"
    async with aiohttp.ClientSession(url) as http:

        async def all_up() -> bool:
            async with http.get(
                "/api/v1/query", params={"query": 'up{job!="prometheus"}'}
            ) as answer:
                found = (await answer.json())["data"]["result"]
            return len(found) == 5 and all(each["value"][1] == "1" for each in found)

        await eventually_async(all_up, within_s=40, what="Prometheus reads all five")
    here.stop("prometheus")


def test_tls_is_well_once_it_shakes_hands() -> None:
    with machine("small", FOOTLIGHT_RTMPS_LISTEN="0.0.0.0:1936") as alone:
        folder = alone.root / "volumes/tls"
        folder.mkdir(parents=True)
        request = (
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=stream.example"
        )
        files = f"-keyout {folder}/key.pem -out {folder}/certificate.pem"
        subprocess.run(["openssl", *f"{request} {files}".split()], check=True, capture_output=True)
        assert not alone.healthy("tls")
        alone.start("tls")
        alone.wait("tls")
        alone.stop("tls")


async def test_wrong_key_is_refused(here: Machine) -> None:
    async with await Connection.open(here.port("rtmp", 1935)) as stranger:
        with pytest.raises(Rejected):
            await stranger.publish("live_1_nonsense")


def test_everything_ends_in_time(here: Machine) -> None:
    """Last: with the signal and within the time that the file says, ours before the servers."""
    for name in ("rtmp", "edge", "worker", "recorder", "ingest", "chat", "api"):
        assert here.stop(name) in (0, 143), name
    for name in SERVERS:
        here.stop(name)
