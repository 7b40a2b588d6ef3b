"""The life of a service process: build, be ready; on a signal stop accepting, drain, close.

`build(service)` is the one place in a service that constructs things:

    async def build(service: Service) -> None:
        database = await service.enter(open_database(service.settings))
        service.check("postgres", database.check)
        service.spawn(relay(…), "outbox")
        await service.listen(app, service.settings.api_listen)  # last: requests come in

    if __name__ == "__main__":
        run("api", build)
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, NoReturn, TypeVar

import structlog
import uvloop
from aiohttp import web

from core import http, logs
from core.errors import DomainError
from core.metrics import Metrics
from core.settings import Settings

T = TypeVar("T")
Check = Callable[[], Awaitable[None]]
Build = Callable[["Service"], Awaitable[None]]

log = logs.logger(__name__)

# How often the event loop's lag is measured, and how often what a service needs is asked after.
LAG_S = 0.5
CHECK_EVERY_S = 10.0
# A check that takes longer has failed: whoever asks for readiness does not wait long either.
CHECK_TIMEOUT_S = 3.0
# Readiness may be asked for by anybody through the edge; the servers behind it are asked this often
# at most.
CHECK_CACHE_S = 1.0
# A task that goes on for so long after it was cancelled has missed it.
CANCEL_AGAIN_S = 1.0
# Container objects made and not yet gone before the collector looks at the young ones, and how many of
# its rounds before it looks at older ones.
GC_THRESHOLDS = (20_000, 20, 20)
# A process that has not ended so long after its drain time ends all the same: whoever started it may be
# gone, and nobody else would.
GIVE_UP_S = 5.0


class Service:
    """What a service's parts hang on while it lives."""

    def __init__(
        self, name: str, settings: Settings, stack: AsyncExitStack, group: asyncio.TaskGroup
    ) -> None:
        self.name = name
        self.settings = settings
        self.metrics = Metrics()
        self.ready = False
        self.stopping = asyncio.Event()
        self._stack = stack
        self._group = group
        self._tasks: list[asyncio.Task[Any]] = []
        self._checks: dict[str, Check] = {}
        self._on_stop: list[Callable[[], Awaitable[None]]] = []
        self._last_checks: tuple[float, dict[str, bool]] | None = None
        self._checking = asyncio.Lock()

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open a resource; it is closed at the end, after those opened later."""
        return await self._stack.enter_async_context(resource)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` as long as the service lives.

        If it fails, the whole service ends, to be started anew.
        """
        task = self._group.create_task(work, name=name)
        self._tasks.append(task)
        return task

    def check(self, name: str, check: Check) -> None:
        """Readiness needs `check` to return without raising."""
        self._checks[name] = check

    def on_stop(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run `step` when stopping, before anything is closed; steps added later run first."""
        self._on_stop.append(step)

    async def listen(self, app: web.Application, address: str) -> None:
        """Serve `app` on `address` ("unix:/path" or "host:port") until the service stops."""
        runner = await self.enter(http.listen(app, address, self.settings.drain_s))
        # Stops accepting and lets requests finish, for at most the drain time.
        self.on_stop(runner.cleanup)

    def stop(self) -> None:
        """Begin the end. Further calls change nothing."""
        self.ready = False
        self.stopping.set()

    async def readiness(self) -> dict[str, bool]:
        """Every check's result, at most a second old.

        All true and `ready`: the service can serve.
        """
        async with self._checking:
            now = asyncio.get_running_loop().time()
            if self._last_checks is None or now - self._last_checks[0] > CHECK_CACHE_S:
                results = await asyncio.gather(*(self._run_check(name) for name in self._checks))
                self._last_checks = (now, dict(zip(self._checks, results, strict=True)))
                for name, good in self._last_checks[1].items():
                    self.metrics.dependencies.labels(name).set(good)
            return self._last_checks[1]

    async def _run_check(self, name: str) -> bool:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self._checks[name]()
        except (DomainError, TimeoutError, OSError) as error:
            log.warning("check_failed", check=name, error=repr(error))
            return False
        return True

    async def watch(self) -> None:
        """Measure the event loop, and ask after what is needed, until cancelled."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        while True:
            due = loop.time() + LAG_S
            await asyncio.sleep(LAG_S)
            self.metrics.loop_lag.observe(max(0.0, loop.time() - due))
            if loop.time() - asked >= CHECK_EVERY_S:
                asked = loop.time()
                await self.readiness()

    async def _shut_down(self) -> None:
        for step in reversed(self._on_stop):
            try:
                async with asyncio.timeout(self.settings.drain_s + 1):
                    await step()
            except TimeoutError:
                log.warning("drain_cut_short")
            except Exception:
                log.exception("stop_step_failed")
        await self._end_tasks()

    async def _end_tasks(self) -> None:
        # Until it has ended: before Python 3.12 asyncio.wait_for, which the clients of NATS and Redis
        # use for every command, loses a cancellation that comes as what it waits for finishes.
        running = list(reversed(self._tasks))
        while running:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
            running = [task for task in running if not task.done()]


async def serve(
    name: str,
    build: Build,
    settings: Settings,
    *,
    started: Callable[[Service], None] = lambda _service: None,
    stopping: Callable[[], None] = lambda: None,
    signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
) -> None:
    """Build a service and run it until it is told to stop, by a signal or by `Service.stop`.

    `started` is called once it is ready, `stopping` when the end begins. Raises an ExceptionGroup
    when a task of it fails.
    """
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        service = Service(name, settings, stack, group)
        for number in signals:
            asyncio.get_running_loop().add_signal_handler(number, service.stop)
        building = group.create_task(_build(service, build), name="build")
        stopped = group.create_task(service.stopping.wait(), name="stopping")
        # A signal in the middle of building is obeyed at once.
        await asyncio.wait((building, stopped), return_when=asyncio.FIRST_COMPLETED)
        if building.done() and not building.cancelled() and building.exception() is None:
            service.ready = not service.stopping.is_set()
            log.info("service_ready")
            started(service)
            await stopped
        building.cancel()
        log.info("service_stopping")
        stopping()
        await service._shut_down()
    log.info("service_stopped")


def _spare_the_collector() -> None:
    """Let the garbage collector look at what is new, and less often.

    What a service was built of stays for good, and nearly everything it makes goes by reference
    count: the collector's rounds were an eighth of what a running stream costs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _build(service: Service, build: Build) -> None:
    service.spawn(service.watch(), "service-watch")
    if service.settings.metrics_listen:
        # Before anything is waited for: what holds a start up is seen there.
        await service.listen(http.make_app(service), service.settings.metrics_listen)
    await build(service)


def run(name: str, build: Build) -> NoReturn:
    """The whole process: settings from the environment, logs, loop, life cycle.

    Exits non-zero on failure.
    """
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        sys.exit(f"{name}: the settings are wrong:\n{error}")
    logs.configure(name, settings.log_level)
    if mistyped := Settings.mistyped():
        log.warning("unknown_settings", found=mistyped)
    lift_open_files()
    structlog.contextvars.clear_contextvars()
    status = 0
    give_up = threading.Timer(settings.drain_s + GIVE_UP_S, os._exit, (1,))
    give_up.daemon = True
    try:
        uvloop.run(
            serve(
                name,
                build,
                settings,
                started=lambda _service: _spare_the_collector(),
                stopping=give_up.start,
            )
        )
    except* Exception as group:
        for failure in group.exceptions:
            log.error("service_failed", exc_info=failure)
        status = 1
    _leave(status)


def lift_open_files() -> None:
    """As many as the system lets us: a shell's and systemd's usual 1,024 are fewer than a room's readers."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _leave(status: int) -> NoReturn:
    """End the process without taking the interpreter down in order.

    Everything of worth was closed by now. Finalisation took 0.5 to 2.5 s on a busy machine and in one
    stop of twenty more than 6 s, all of it in the garbage collector; this takes 0.1 s.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
