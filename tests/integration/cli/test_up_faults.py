"""Every process of an instance killed for real, and the supervisor itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from cli.leftovers import processes_in
from tests.e2e.stage import command_line
from tests.harness import RunningInstance, eventually, processes_of, start_instance

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

MakeInstance = Callable[..., RunningInstance]
# What a user would call at once; the machine of a test run is busy with other things as well.
BACK_WITHIN_S = 15.0


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningInstance]:
    """An instance that this module breaks again and again."""
    with start_instance(tmp_path_factory.mktemp("victim") / "data") as running:
        yield running


def is_ready(instance: RunningInstance) -> bool:
    """Whether the whole instance says that it is ready."""
    try:
        status: int = httpx.get(f"{instance.url}/readyz", timeout=5).status_code
    except httpx.HTTPError:
        return False
    return status == 200


# Of the others the fault suite (tests/faults) kills each, with somebody there who would notice.
MORE = ("ingest", "chat", "recorder", "rtmp", "redis", "nats", "s3")


@pytest.mark.parametrize(
    "service",
    ("api", "edge", "postgres", *(pytest.param(each, marks=pytest.mark.long) for each in MORE)),
)
def test_a_killed_process_comes_back(victim: RunningInstance, service: str) -> None:
    old = victim.pid(service)
    group = [pid for pid in processes_of(victim.data) if os.getpgid(pid) == old]
    killed = time.monotonic()
    os.kill(old, signal.SIGKILL)

    def is_back() -> bool:
        entry = victim.info["services"][service]
        return bool(entry["pid"] != old and entry["state"] == "ready")

    eventually(is_back, within_s=BACK_WITHIN_S, what=f"{service} is back")
    print(f"{service} was back after {time.monotonic() - killed:.2f} s")
    eventually(lambda: is_ready(victim), within_s=BACK_WITHIN_S, what="the instance is ready")
    # What it had started, such as nginx's workers or PostgreSQL's backends, went with it.
    assert not set(group) & set(processes_of(victim.data))
    text = victim.output.read_text()
    assert "was killed (SIGKILL); starting it again" in text
    assert "Traceback" not in text


def test_services_outlive_what_they_were_forked_from(victim: RunningInstance) -> None:
    """And one that ends afterwards comes back from a new one."""
    services = ("api", "ingest", "chat", "recorder")
    before = {name: victim.pid(name) for name in services}
    os.kill(_preloader(victim), signal.SIGKILL)
    os.kill(before["chat"], signal.SIGKILL)
    eventually(
        lambda: victim.pid("chat") != before["chat"] and is_ready(victim),
        within_s=BACK_WITHIN_S,
        what="the killed service is back",
    )
    after = {name: victim.pid(name) for name in services}
    assert {name for name in services if after[name] != before[name]} == {"chat"}


def _preloader(instance: RunningInstance) -> int:
    threads = Path(f"/proc/{instance.process.pid}/task").glob("*/children")
    pids = [int(pid) for children in threads for pid in children.read_text().split()]
    [found] = [pid for pid in pids if command_line(pid)[:1] == ["footlight: preload"]]
    return found


@pytest.mark.long
def test_a_frozen_process_is_noticed_and_welcomed_back(victim: RunningInstance) -> None:
    pid = victim.pid("api")
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(
            lambda: victim.info["services"]["api"]["state"] == "not answering",
            within_s=40,
            what="the frozen service is noticed",
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(
        lambda: victim.info["services"]["api"]["state"] == "ready",
        within_s=20,
        what="the service answers again",
    )
    assert victim.pid("api") == pid


@pytest.mark.long
def test_nothing_survives_the_supervisor_and_the_next_one_starts(
    make_instance: MakeInstance,
) -> None:
    first = make_instance()
    answer = httpx.post(
        f"{first.url}/api/v1/auth/register",
        json={"login": "survivor", "email": "s@example.org", "password": "long enough 1"},
    )
    assert answer.status_code == 201
    first.process.kill()
    first.process.wait()
    eventually(lambda: processes_of(first.data) == [], within_s=5, what="every child is gone")

    second = make_instance(data=first.data)
    assert is_ready(second)
    answer = httpx.post(
        f"{second.url}/api/v1/auth/login",
        json={"login": "survivor", "password": "long enough 1"},
    )
    assert answer.status_code == 200


@pytest.mark.long
def test_what_outlives_the_supervisor_and_what_it_leaves_is_no_obstacle(
    make_instance: MakeInstance,
) -> None:
    first = make_instance("--servers-only")
    folder = first.data / "postgres"
    postmaster = first.pid("postgres")
    # Frozen processes do not see the signal that the kernel sends them.
    backends = processes_in(folder)
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    first.process.kill()
    first.process.wait()
    assert Path(f"/proc/{postmaster}").exists()

    second = make_instance("--servers-only", data=first.data)
    assert second.pid("postgres") != postmaster
    assert not set(backends) & set(processes_in(folder))

    run = Path(second.info["environment"]["FOOTLIGHT_RUN_DIR"])
    media = Path(second.info["environment"]["FOOTLIGHT_MEDIA_DIR"])
    (media / "old-session").mkdir()
    second.process.kill()
    second.process.wait()
    eventually(lambda: processes_of(second.data) == [], within_s=5, what="every child is gone")
    # As after a power cut: the number of a stranger's process, sockets that nobody listens on.
    (folder / "postmaster.pid").write_text(f"{os.getpid()}\n")
    (second.data / "s3/.rclone_temp_123").write_text("half an object")
    (run / "edge-internal.sock").touch()

    third = make_instance(data=second.data, environment={"FOOTLIGHT_MEDIA_WINDOW_S": "10"})
    assert third.process.poll() is None
    assert not (third.data / "s3/.rclone_temp_123").exists()
    # Ingest, which goes on with what it knows there, knows of no such session.
    eventually(
        lambda: not (media / "old-session").exists(),
        # Players may be at its end: for as long as its playlist reaches, and a little more.
        within_s=60,
        what="media of a session that nobody knows are gone",
    )


def test_a_service_that_cannot_start_is_explained(make_instance: MakeInstance) -> None:
    with pytest.raises(pytest.fail.Exception) as failure:
        make_instance(environment={"FOOTLIGHT_API_LISTEN": "192.0.2.1:9"})
    text = str(failure.value)
    assert "192.0.2.1" in text
    assert "The whole log:" in text
