"""Commands on an instance that runs: the demo, the administrator's, the doctor."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from cli.commands import parse, run
from cli.instance import free_port
from cli.toolchain import Toolchain
from core.db.migrate import known_schemas
from tests.harness import SOURCE, STREAM_KEY, RunningInstance, RunningServers, eventually


def footlight(
    instance: RunningInstance, *arguments: str, **options: Any
) -> subprocess.CompletedProcess[str]:
    """A command run to its end on `instance`."""
    command, *rest = arguments
    return subprocess.run(
        [sys.executable, "-m", "cli", command, "--data", str(instance.data), *rest],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def admin(
    capsys: pytest.CaptureFixture[str], instance: RunningInstance, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """An administrator's command as `footlight` runs it, without a process of its own, which takes a second and
    more of a core until it has its modules.
    """
    capsys.readouterr()
    words = ["admin", "--data", str(instance.data), *arguments]
    with patch.dict(os.environ):
        status = run(parse(words))
    told = capsys.readouterr()
    return subprocess.CompletedProcess(words, status, told.out, told.err)


def log_in(instance: RunningInstance, login: str, password: str) -> httpx.Response:
    """A login over the public port."""
    credentials = {"login": login, "password": password}
    return httpx.post(f"{instance.url}/api/v1/auth/login", json=credentials)


def state(instance: RunningInstance, login: str) -> str:
    """The channel's live state as viewers get it."""
    return str(httpx.get(f"{instance.url}/live/{login}/state").json()["state"])


@pytest.fixture
def demo(instance: RunningInstance) -> Iterator[subprocess.Popen[str]]:
    """The demo, pushing to the shared instance."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "cli", "demo", "--data", str(instance.data)],
        cwd=SOURCE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.e2e
@pytest.mark.timeout(120)
def test_the_demo_is_seen_by_viewers(
    instance: RunningInstance, demo: subprocess.Popen[str]
) -> None:
    eventually(lambda: state(instance, "demo") == "live", within_s=60, what="the demo is live")

    def listed() -> list[str]:
        items = httpx.get(f"{instance.url}/api/v1/streams", timeout=30).json()["items"]
        return [item["channel"]["login"] for item in items]

    # The edge knows first.
    eventually(lambda: listed() == ["demo"], within_s=10, what="the demo is listed")
    assert httpx.get(f"{instance.url}/live/demo/index.m3u8").text.startswith("#EXTM3U")
    demo.send_signal(signal.SIGINT)
    text, _ = demo.communicate(timeout=20)
    assert demo.returncode == 0
    assert f"Live: {instance.url}/demo" in text
    assert not STREAM_KEY.search(text.encode())
    eventually(lambda: state(instance, "demo") == "offline", within_s=10, what="it is offline")


@pytest.mark.e2e
@pytest.mark.timeout(120)
def test_the_demo_stops_by_itself(instance: RunningInstance) -> None:
    result = footlight(instance, "demo", "--seconds", "3", timeout=90)
    assert result.returncode == 0, result.stderr
    eventually(lambda: state(instance, "demo") == "offline", within_s=10, what="it is offline")


def test_commands_need_an_instance(tmp_path: Path) -> None:
    for command in (["demo"], ["admin", "set-role", "somebody", "admin"]):
        result = subprocess.run(
            [sys.executable, "-m", "cli", command[0], "--data", str(tmp_path), *command[1:]],
            cwd=SOURCE,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert "Nothing runs on" in result.stderr
        assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def account(instance: RunningInstance) -> tuple[str, str]:
    """An account that the administrator made: login and password."""
    login = f"user_{secrets.token_hex(4)}"
    email = f"{login}@example.org"
    result = footlight(instance, "admin", "create-user", login, "--email", email)
    assert result.returncode == 0, result.stderr
    found = re.search(r"Password: (\S+)", result.stdout)
    assert found is not None
    return login, found[1]


def test_an_account_made_here_can_log_in(
    instance: RunningInstance, account: tuple[str, str]
) -> None:
    answer = log_in(instance, *account)
    assert answer.status_code == 200
    assert answer.json()["user"]["role"] == "viewer"


def test_roles_are_changed(
    instance: RunningInstance, account: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    result = admin(capsys, instance, "set-role", account[0], "moderator")
    assert result.returncode == 0, result.stderr
    assert log_in(instance, *account).json()["user"]["role"] == "moderator"


def test_the_last_administrator_stays_one(
    instance: RunningInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    result = admin(capsys, instance, "set-role", "admin", "viewer")
    assert result.returncode == 1
    assert "only admin" in result.stderr


def test_a_password_is_taken_from_a_file_and_ends_logins(
    instance: RunningInstance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    login = f"user_{secrets.token_hex(4)}"
    file = tmp_path / "password"
    file.write_text("a first long password\n")
    chosen = ("--password-file", str(file))
    made = admin(capsys, instance, "create-user", login, "--email", f"{login}@example.org", *chosen)
    assert made.returncode == 0, made.stderr
    assert "a first long password" not in made.stdout
    session = log_in(instance, login, "a first long password").json()
    file.write_text("a second long password\n")
    assert admin(capsys, instance, "reset-password", login, *chosen).returncode == 0
    assert log_in(instance, login, "a first long password").status_code == 401
    assert log_in(instance, login, "a second long password").status_code == 200
    token = {"refresh_token": session["refresh_token"]}
    assert httpx.post(f"{instance.url}/api/v1/auth/refresh", json=token).status_code == 401


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        (("create-user", "admin", "--email", "x@example.org"), "reserved"),
        (("create-user", "Not A Login", "--email", "x@example.org"), "lower-case"),
        (("create-user", "fine_login", "--email", "nowhere"), "e-mail"),
        (("set-role", "nobody_at_all", "admin"), "no account"),
        (("reset-password", "nobody_at_all"), "no account"),
    ),
)
def test_mistakes_are_explained(
    instance: RunningInstance,
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = admin(capsys, instance, *arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_keys_are_rotated_and_old_tokens_live_on(
    instance: RunningInstance, account: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    token = log_in(instance, *account).json()["access_token"]
    result = admin(capsys, instance, "rotate-keys")
    assert result.returncode == 0, result.stderr
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{instance.url}/api/v1/me", headers=headers).status_code == 200


@pytest.mark.timeout(120)
def test_the_doctor_looks_at_everything(tmp_path: Path) -> None:
    taken: set[int] = set()
    ports = ("--http-port", str(free_port(taken)), "--rtmp-port", str(free_port(taken)))
    result = subprocess.run(
        [sys.executable, "-m", "cli", "doctor", "--data", str(tmp_path), *ports],
        cwd=SOURCE,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    for title in ("System", "Disk", "Clock", "PostgreSQL", "Redis", "NATS", "Encoders", "Updates"):
        assert title in result.stdout
    assert "libx264" in result.stdout
    assert "Traceback" not in result.stderr


def _doctor(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", "doctor"],
        cwd=SOURCE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(120)
def test_the_doctor_asks_servers_of_ones_own(
    servers: RunningServers, toolchain: Toolchain, tmp_path: Path
) -> None:
    """With nothing of `up` anywhere near: no ports, no programs."""
    environment = {
        **servers.environment,
        "FOOTLIGHT_DATA_DIR": str(tmp_path),
        "FOOTLIGHT_FFMPEG_PATH": str(toolchain.ffmpeg()),
        "FOOTLIGHT_BACKUP_PLCE": "/b",
    }
    well = _doctor(environment)
    assert (well.returncode, well.stderr) == (0, "")
    found = dict(re.findall(r"^(?:ok|note) +(\S+(?: \S+)*) {2,}(.+)$", well.stdout, re.MULTILINE))
    assert found["PostgreSQL"] == toolchain.program("postgres").version()
    assert found["Redis"] == toolchain.program("redis-server").version()
    assert found["Schema"] == f"{known_schemas()[0]}, the newest of this release"
    assert found["NATS"].endswith("with JetStream")
    assert found["S3"] == "bucket footlight"
    assert found["Backups"] == "none was ever taken"
    assert found["Settings"].endswith("FOOTLIGHT_BACKUP_PLACE?")
    assert "libx264" in found["Encoders"]
    assert not {"Port", "Ports", "nginx", "Updates"} & found.keys()


@pytest.mark.timeout(120)
def test_the_doctor_says_which_server_is_missing(servers: RunningServers) -> None:
    nowhere = f"127.0.0.1:{free_port(set())}"
    missing = {
        "FOOTLIGHT_REDIS_URL": f"redis://{nowhere}",
        "FOOTLIGHT_NATS_URL": f"nats://{nowhere}",
    }
    ill = _doctor({**servers.environment, **missing})
    assert ill.returncode == 1
    assert re.search(r"^BAD +Redis +Redis does not answer\. \(.*failed", ill.stdout, re.MULTILINE)
    assert "→ FOOTLIGHT_REDIS_URL says where it is" in ill.stdout
    assert re.search("^BAD +NATS +no answer$", ill.stdout, re.MULTILINE)
    assert re.search("^ok +S3 +", ill.stdout, re.MULTILINE)
    assert ill.stderr == ""
