"""`up` as a user meets it: what it starts, what it says, and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.harness import (
    SOURCE,
    RunningInstance,
    end,
    eventually,
    launch_instance,
    processes_of,
)

MakeInstance = Callable[..., RunningInstance]
SERVICES = (
    *("postgres", "redis", "nats", "s3"),
    *("api", "ingest", "recorder", "chat", "edge", "rtmp"),
)
STOP_WITHIN_S = 15.0


def log_in(instance: RunningInstance) -> httpx.Response:
    """The administrator's login over the public port."""
    admin = instance.info["admin"]
    credentials = {"login": admin["login"], "password": admin["password"]}
    return httpx.post(f"{instance.url}/api/v1/auth/login", json=credentials)


def test_instance_file_says_where_everything_is(instance: RunningInstance) -> None:
    path = instance.data / "instance.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    info = instance.info
    assert info["http"].startswith("http://127.0.0.1:")
    assert info["rtmp"].startswith("rtmp://127.0.0.1:")
    assert info["rtmp"].endswith("/live")
    assert tuple(info["services"]) == SERVICES
    for service in info["services"].values():
        os.kill(service["pid"], 0)
        assert service["url"]
    for name in ("database", "redis", "nats", "s3", "irc_port"):
        assert name in info


def test_everything_answers(instance: RunningInstance) -> None:
    assert httpx.get(f"{instance.url}/healthz").status_code == 200
    assert httpx.get(f"{instance.url}/readyz").json()["status"] == "ready"
    page = httpx.get(f"{instance.url}/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    host, port = instance.info["rtmp"].removeprefix("rtmp://").removesuffix("/live").split(":")
    socket.create_connection((host, int(port)), timeout=2).close()


def test_the_first_administrator_can_log_in(instance: RunningInstance) -> None:
    answer = log_in(instance)
    assert answer.status_code == 200
    assert answer.json()["user"]["role"] == "admin"


def test_services_run_without_privileges(instance: RunningInstance) -> None:
    for service in instance.info["services"].values():
        status = Path(f"/proc/{service['pid']}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert f"Uid:\t{os.getuid()}\t" in status
    assert os.getuid() != 0


def test_secrets_and_folders_are_private(instance: RunningInstance) -> None:
    for path in (instance.data, instance.data / "secrets", instance.data / "logs"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (instance.data / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_credentials_are_not_in_any_command_line(instance: RunningInstance) -> None:
    secrets = [path.read_bytes().strip() for path in (instance.data / "secrets").iterdir()]
    assert len(secrets) >= 4
    for pid in processes_of(instance.data):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not any(secret in command for secret in secrets)


def test_status_tells_what_runs(instance: RunningInstance) -> None:
    result = footlight("status", "--json", "--data", str(instance.data))
    state = json.loads(result.stdout)
    assert result.returncode == 0
    assert state["healthy"]
    assert tuple(state["services"]) == SERVICES
    assert all(service["healthy"] for service in state["services"].values())
    nats_password = (instance.data / "secrets/nats_password").read_text().strip()
    assert nats_password not in result.stdout
    assert "healthy" in footlight("status", "--data", str(instance.data)).stdout


def footlight(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    """A command of the CLI, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=SOURCE,
        env={**os.environ, **options},
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )


def test_status_without_an_instance(tmp_path: Path) -> None:
    result = footlight("status", "--data", str(tmp_path))
    assert result.returncode == 3
    assert "Nothing runs" in result.stdout


def test_a_second_up_on_the_same_folder_is_refused(instance: RunningInstance) -> None:
    result = footlight("up", "--data", str(instance.data), "--http-port", "1234")
    assert result.returncode == 1
    assert f"already runs on {instance.data} (pid {instance.process.pid})" in result.stderr
    assert httpx.get(f"{instance.url}/readyz").status_code == 200


@pytest.mark.parametrize("option", ("--http-port", "--rtmp-port"))
def test_a_taken_port_is_named_with_the_way_out(option: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        process, output = launch_instance(tmp_path / "data", option, str(port))
        assert process.wait(30) == 1
    text = output.read_text()
    assert f"port {port} is in use on 127.0.0.1" in text
    assert f"./footlight up {option} {port + 1}" in text
    assert "Traceback" not in text
    assert processes_of(tmp_path / "data") == []


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    wrong = {"FOOTLIGHT_TRUSTED_PROXIES": "my proxy", "FOOTLIGHT_GRACE_S": "soon"}
    result = footlight("up", "--data", str(tmp_path / "data"), **wrong)
    assert result.returncode == 1
    assert "FOOTLIGHT_TRUSTED_PROXIES: " in result.stderr
    assert "FOOTLIGHT_GRACE_S: Input should be a valid number" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.long
def test_trusted_proxies_reach_the_edge(make_instance: MakeInstance) -> None:
    """Behind a proxy of the user's own the edge tells viewers apart by their real addresses."""
    proxies = {"FOOTLIGHT_TRUSTED_PROXIES": "127.0.0.1/32, 10.0.0.0/8"}
    configuration = make_instance(environment=proxies).data / "edge" / "nginx.conf"
    text = configuration.read_text()
    assert "set_real_ip_from 127.0.0.1/32;" in text
    assert "set_real_ip_from 10.0.0.0/8;" in text


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    process, output = launch_instance(tmp_path)
    assert process.wait(30) == 1
    assert "not a Footlight data folder" in output.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    output.unlink()


@pytest.mark.timeout(300)
def test_interrupted_started_beside_another_ended_and_started_again(
    instance: RunningInstance, make_instance: MakeInstance, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    interrupt_a_start(data)
    first = make_instance(data=data)
    strangers(instance, first)
    account = {"login": "keeper", "email": "keeper@example.org", "password": "long enough 1"}
    answer = httpx.post(f"{first.url}/api/v1/auth/register", json=account)
    assert answer.status_code == 201
    ends_without_a_trace(first, signal.SIGTERM)
    assert httpx.get(f"{instance.url}/readyz").status_code == 200

    second = make_instance(data=data)
    del account["email"]
    assert httpx.post(f"{second.url}/api/v1/auth/login", json=account).status_code == 200
    assert log_in(second).status_code == 200


def interrupt_a_start(data: Path) -> None:
    """End a start halfway: nothing is left."""
    process, output = launch_instance(data)
    try:
        eventually(
            lambda: "PostgreSQL   ready" in output.read_text(), within_s=60, what="half started"
        )
        process.terminate()
        assert process.wait(STOP_WITHIN_S) == 0
    finally:
        end(process)
    assert processes_of(data) == []
    assert "Traceback" not in output.read_text()


def strangers(instance: RunningInstance, other: RunningInstance) -> None:
    """A token of one says nothing to the other."""
    assert other.url != instance.url
    mine, theirs = log_in(instance), log_in(other)
    assert mine.status_code == theirs.status_code == 200
    token = {"Authorization": f"Bearer {mine.json()['access_token']}"}
    assert httpx.get(f"{instance.url}/api/v1/me", headers=token).status_code == 200
    assert httpx.get(f"{other.url}/api/v1/me", headers=token).status_code == 401


def ends_without_a_trace(instance: RunningInstance, number: signal.Signals) -> None:
    """By that signal, all of it."""
    media = Path(instance.info["environment"]["FOOTLIGHT_MEDIA_DIR"])
    run = Path(instance.info["environment"]["FOOTLIGHT_RUN_DIR"])
    assert media.is_dir()
    assert instance.stop(number, timeout_s=STOP_WITHIN_S) == 0
    assert processes_of(instance.data) == []
    assert not (instance.data / "instance.json").exists()
    assert not media.exists()
    assert not run.exists()


@pytest.mark.long
@pytest.mark.timeout(120)
def test_ctrl_c_ends_everything(make_instance: MakeInstance) -> None:
    ends_without_a_trace(make_instance(), signal.SIGINT)


@pytest.mark.long
def test_a_deep_data_folder_works(make_instance: MakeInstance, tmp_path: Path) -> None:
    data = tmp_path / ("d" * 60) / ("e" * 60) / "data"
    running = make_instance("--servers-only", data=data)
    run = Path(running.info["environment"]["FOOTLIGHT_RUN_DIR"])
    assert not run.is_relative_to(data)
    assert stat.S_IMODE(run.stat().st_mode) == 0o700
    running.stop()
    assert not run.exists()
