"""The life of a service: ready, draining, stopped; and what its listener answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from core.errors import Conflict, RateLimited, Unavailable
from core.http import make_app
from core.service import Service, serve
from core.settings import Settings
from tests.harness import (
    SOURCE,
    RunningServers,
    eventually,
    eventually_async,
    running_service,
)
from tests.integration.core.conftest import Stopwatch


def settings_for(folder: Path, **changes: object) -> Settings:
    """Settings for a service that needs no servers."""
    return Settings(
        **{  # type: ignore[arg-type]
            "secret_key": "x" * 32,
            "api_listen": f"unix:{folder}/s.sock",
            "drain_s": 3.0,
            **changes,
        }
    )


def caller(folder: Path) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        base_url="http://x", connector=aiohttp.UnixConnector(f"{folder}/s.sock", force_close=True)
    )


async def stopped_listening(folder: Path) -> bool:
    """Whether the kernel knows no listener on the socket; asking leaves no connection behind."""
    # Fields: address, references, protocol, flags (0x10000: listening), type, state, inode, path.
    table = await asyncio.to_thread(Path("/proc/net/unix").read_text)
    rows = [line.split() for line in table.splitlines()]
    return not any(row[-1] == f"{folder}/s.sock" and row[3] == "00010000" for row in rows)


async def test_order_of_opening_and_closing(socket_folder: Path) -> None:
    done: list[str] = []

    @asynccontextmanager
    async def resource(name: str) -> AsyncIterator[None]:
        done.append(f"open {name}")
        yield
        done.append(f"close {name}")

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            done.append("task ended")

    async def step() -> None:
        done.append("step")

    async def build(service: Service) -> None:
        await service.enter(resource("a"))
        await service.enter(resource("b"))
        service.on_stop(step)
        service.spawn(work(), "work")

    async with running_service("test", build, settings_for(socket_folder)) as (service, _):
        assert service.ready
        await asyncio.sleep(0)
    assert not service.ready
    assert done == ["open a", "open b", "step", "task ended", "close b", "close a"]


async def test_a_task_that_missed_its_cancellation_ends_nonetheless(socket_folder: Path) -> None:
    async def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def build(service: Service) -> None:
        service.spawn(work(), "work")

    async with asyncio.timeout(10), running_service("test", build, settings_for(socket_folder)):
        await asyncio.sleep(0)


async def test_a_running_request_is_finished_and_no_new_one_taken(socket_folder: Path) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        entered.set()
        await leave.wait()
        return web.Response(text="done")

    async def build(service: Service) -> None:
        app = make_app(service)
        app.router.add_get("/slow", slow)
        await service.listen(app, service.settings.api_listen)

    async with (
        running_service("test", build, settings_for(socket_folder)) as (service, life),
        caller(socket_folder) as client,
    ):
        pending = asyncio.create_task(client.get("/slow"))
        await entered.wait()
        service.stop()
        await eventually_async(lambda: stopped_listening(socket_folder))
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get("/healthz")
        assert not life.done()
        leave.set()
        response = await pending
        assert (response.status, await response.text()) == (200, "done")


async def test_draining_has_a_deadline(socket_folder: Path) -> None:
    async def forever(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def build(service: Service) -> None:
        app = make_app(service)
        app.router.add_get("/forever", forever)
        await service.listen(app, service.settings.api_listen)

    settings = settings_for(socket_folder, drain_s=0.3)
    async with caller(socket_folder) as client:
        async with running_service("test", build, settings):
            pending = asyncio.create_task(client.get("/forever"))
            await asyncio.sleep(0.05)
            watch = Stopwatch()
        assert watch.elapsed < 3
        with pytest.raises(aiohttp.ClientError):
            await pending


async def test_a_task_that_fails_ends_the_service(socket_folder: Path) -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    async def build(service: Service) -> None:
        service.spawn(fail(), "broken")

    with pytest.raises(ExceptionGroup) as group:
        await serve("test", build, settings_for(socket_folder), signals=())
    assert group.value.subgroup(RuntimeError) is not None


async def test_stopped_while_building(socket_folder: Path) -> None:
    closed = asyncio.Event()
    building: asyncio.Queue[Service] = asyncio.Queue()

    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        yield
        closed.set()

    async def build(service: Service) -> None:
        await service.enter(resource())
        building.put_nowait(service)
        await asyncio.Event().wait()

    life = asyncio.create_task(serve("test", build, settings_for(socket_folder), signals=()))
    (await building.get()).stop()
    await life
    assert closed.is_set()


async def _raise_conflict(_request: web.Request) -> web.Response:
    raise Conflict("Taken.", code="taken", field="login")


async def _raise_limited(_request: web.Request) -> web.Response:
    raise RateLimited("Wait.", retry_after=7)


async def _raise_bug(_request: web.Request) -> web.Response:
    raise ZeroDivisionError("secret detail")


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def build_errors(service: Service) -> None:
    app = make_app(service, body_limit=1000)
    app.router.add_get("/conflict", _raise_conflict)
    app.router.add_get("/limited", _raise_limited)
    app.router.add_get("/bug/{id}", _raise_bug)
    app.router.add_post("/echo", _echo)
    await service.listen(app, service.settings.api_listen)


async def test_errors_over_http(socket_folder: Path) -> None:
    async with (
        running_service("test", build_errors, settings_for(socket_folder)),
        caller(socket_folder) as client,
    ):
        async with client.get("/conflict") as response:
            assert response.status == 409
            assert await response.json() == {
                "error": {"code": "taken", "message": "Taken.", "field": "login"}
            }
        async with client.get("/limited") as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")
        async with client.get("/bug/5") as response:
            assert response.status == 500
            assert "secret detail" not in await response.text()
            assert (await response.json())["error"]["code"] == "http_500"
        async with client.get("/nothing") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "not_found")
        async with client.post("/echo", data=b"x" * 1001) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (
                413,
                "body_too_large",
            )
        async with client.post("/echo", data=b"x" * 1000) as response:
            assert response.status == 200


async def test_request_ids_and_metrics(socket_folder: Path) -> None:
    async with (
        running_service("test", build_errors, settings_for(socket_folder)),
        caller(socket_folder) as client,
    ):
        given = {"X-Request-ID": "abcdefgh-12345678"}
        async with client.get("/conflict", headers=given) as response:
            assert response.headers["X-Request-ID"] == given["X-Request-ID"]
        async with client.get("/conflict", headers={"X-Request-ID": "no good"}) as response:
            assert len(response.headers["X-Request-ID"]) == 32
        for number in range(3):
            async with client.get(f"/bug/{number}"):
                pass
        for number in range(3):
            async with client.get(f"/made-up-{number}"):
                pass
        async with client.request("BREW", "/conflict"):
            pass
        async with client.get("/metrics") as response:
            text = await response.text()
    count = 'footlight_http_requests_total{method="%s",route="%s",status="%s"} %s'
    assert count % ("GET", "/bug/{id}", 500, "3.0") in text
    assert count % ("GET", "unmatched", 404, "3.0") in text
    assert count % ("GET", "/conflict", 409, "2.0") in text
    assert 'method="BREW"' not in text
    assert "made-up" not in text
    assert "footlight_http_request_seconds_bucket" in text


async def test_readiness(socket_folder: Path) -> None:
    answers: dict[str, BaseException | None] = {"one": None, "two": None}
    asked: list[str] = []

    def check(name: str) -> Callable[[], object]:
        async def ask() -> None:
            asked.append(name)
            if (error := answers[name]) is not None:
                raise error

        return ask

    async def build(service: Service) -> None:
        for name in answers:
            service.check(name, check(name))  # type: ignore[arg-type]
        await service.listen(make_app(service), service.settings.api_listen)

    async def readiness(client: aiohttp.ClientSession) -> tuple[int, dict[str, object]]:
        async with client.get("/readyz") as response:
            return response.status, await response.json()

    async with (
        running_service("test", build, settings_for(socket_folder)) as (service, _),
        caller(socket_folder) as client,
    ):
        everything = {"one": "ok", "two": "ok"}
        assert await readiness(client) == (200, {"status": "ready", "checks": everything})
        # A crowd that asks is answered from memory.
        await asyncio.gather(*(readiness(client) for _ in range(20)))
        assert len(asked) == 2
        answers["two"] = Unavailable("postgres://user:secret@host is gone")
        service._last_checks = None
        status, body = await readiness(client)
        assert (status, body["checks"]) == (503, {"one": "ok", "two": "failing"})
        assert "secret" not in str(body)


def _environment(servers: RunningServers, folder: Path, **changes: str) -> dict[str, str]:
    return {
        **os.environ,
        **servers.environment,
        "PYTHONPATH": str(SOURCE),
        "FOOTLIGHT_API_LISTEN": f"unix:{folder}/api.sock",
        **{f"FOOTLIGHT_{name.upper()}": value for name, value in changes.items()},
    }


def test_the_process_ends_by_signal_with_zero(servers: RunningServers, socket_folder: Path) -> None:
    log = socket_folder / "log"
    for number in (signal.SIGTERM, signal.SIGINT):
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "api"],
                env=_environment(servers, socket_folder),
                cwd=socket_folder,
                stderr=file,
            )
        try:
            eventually(lambda: b"service_ready" in log.read_bytes(), within_s=30, what="ready")
            process.send_signal(number)
            assert process.wait(15) == 0
            assert b"service_stopped" in log.read_bytes()
        finally:
            process.kill()
            process.wait()


def test_it_starts_without_any_server_and_says_it_is_not_ready(
    servers: RunningServers, socket_folder: Path
) -> None:
    nowhere = {
        "database_url": f"postgresql+asyncpg://u@/d?host={socket_folder}",
        "redis_url": f"unix://{socket_folder}/none.sock",
        "nats_url": "nats://127.0.0.1:1",
        "s3_endpoint": "http://127.0.0.1:1",
        "request_timeout_s": "1",
    }
    log = socket_folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "api"],
            env=_environment(servers, socket_folder, **nowhere),
            cwd=socket_folder,
            stderr=file,
        )

    async def ask() -> tuple[int, dict[str, str]]:
        connector = aiohttp.UnixConnector(f"{socket_folder}/api.sock")
        async with (
            aiohttp.ClientSession(connector=connector) as client,
            client.get("http://x/readyz") as response,
        ):
            return response.status, (await response.json())["checks"]

    try:
        eventually(lambda: b"service_ready" in log.read_bytes(), within_s=30, what="ready")
        status, checks = asyncio.run(ask())
        assert status == 503
        assert set(checks.values()) == {"failing"}
        process.terminate()
        assert process.wait(15) == 0
        assert b"Traceback" not in log.read_bytes()
    finally:
        process.kill()
        process.wait()


def test_wrong_settings_are_told_without_their_values() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "api"],
        env={
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "FOOTLIGHT_SECRET_KEY": "canary",
            "FOOTLIGHT_PART_TARGET_S": "x",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "part_target_s" in result.stderr
    assert "canary" not in result.stderr
    assert "Traceback" not in result.stderr
