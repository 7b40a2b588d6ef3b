"""Requests made up from the OpenAPI document, each sent by a guest and by all four roles: no answer is an
accident, every answer is documented.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import operations
from api.openapi import document
from api.operations import PREFIX
from cli.instance import free_port
from core.db.engine import open_database
from core.db.models import Role
from core.settings import Settings
from tests.api_kit import forget_settings
from tests.belongings import Belongings, belongings
from tests.chat_kit import World
from tests.harness import SOURCE, RunningServers, eventually
from tests.requests_kit import body

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = {operation.name: operation for operation in operations()}
SCHEMA = schemathesis.openapi.from_dict(
    document(list(OPERATIONS.values()), Settings(secret_key="x" * 32))  # type: ignore[arg-type]
)
# The edge lets nothing longer through.
LONGEST_ADDRESS = 8000
# A world is used up by what roles may do to it.
WORLD_LASTS = 10


def accidents(log: str) -> list[str]:
    """Lines of a service's log that tell of what should not have happened: an error, or no line of a log at all."""
    harmless = ("debug", "info", "warning")
    return [
        line
        for line in log.splitlines()
        if not line.startswith("{") or json.loads(line)["level"] not in harmless
    ]


@contextmanager
def service(name: str, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """A service in a process of its own, which must end well and without a traceback."""
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", name],
            env={**os.environ, **environment, "PYTHONPATH": str(SOURCE)},
            cwd=folder,
            stderr=file,
        )
    try:
        eventually(lambda: b"service_ready" in log.read_bytes(), within_s=90, what="ready")
        yield
        process.terminate()
        assert process.wait(20) == 0
        assert not accidents(log.read_text())
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server(servers: RunningServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an API over TCP; behind it chat and recorder."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    address = f"127.0.0.1:{free_port(set())}"
    environment = {
        **servers.environment,
        "FOOTLIGHT_API_LISTEN": address,
        "FOOTLIGHT_DATA_DIR": str(folder),
        "FOOTLIGHT_RECORDER_WORKS": "false",
        "FOOTLIGHT_RATE_LIMIT_FACTOR": "1000",
    }
    with ExitStack() as stack:
        for name in ("chat", "recorder", "api"):
            stack.enter_context(service(name, folder, environment))
        yield f"http://{address}"
    asyncio.run(forget_settings(servers.settings()))


@dataclass
class Cast:
    """Who asks, and what there is to ask about."""

    address: str
    world: World
    runner: asyncio.Runner
    session: requests.Session

    def __post_init__(self) -> None:
        self.tokens: dict[str, str | None] = {}
        self.things: list[Belongings] = []
        self.asked = 0

    async def _make(self) -> None:
        mine = await belongings(self.world, visibility="public")
        self.things = [mine, await belongings(self.world)]
        people = {role: await self.world.person(role, role=role) for role in Role}
        self.tokens = {"guest": None, **{str(role): p.token for role, p in people.items()}}
        # So that a creator has something to lose.
        self.tokens["creator"] = mine.owner.token

    def send(self, case: Any) -> None:
        """One request, by everybody."""
        if self.asked % WORLD_LASTS == 0:
            self.runner.run(self._make())
        mine = self.things[self.asked % 2]
        self.asked += 1
        seed = zlib.crc32(repr((case.path_parameters, case.body)).encode())
        self._aim(case, mine, seed)
        assume(len(address(case)) <= LONGEST_ADDRESS)
        for token in self.tokens.values():
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            response = case.call(
                base_url=self.address, headers=headers, timeout=30, session=self.session
            )
            case.validate_response(response, checks=CHECKS)

    def _aim(self, case: Any, mine: Belongings, seed: int) -> None:
        """Let most requests be about something that there is."""
        template = case.operation.path.removeprefix(PREFIX)
        for number, name in enumerate(case.path_parameters or ()):
            if seed >> number & 3:
                case.path_parameters[name] = mine.parameter(template, name)
        operation = OPERATIONS[case.operation.definition.raw["operationId"]]
        if operation.form_limit is None and seed >> 8 & 1:
            in_order = body(operation, mine)
            if in_order is not None:
                case.body = in_order


def address(case: Any) -> str:
    """Path and query of a request, as they are sent."""
    sent = case.as_transport_kwargs("http://x")
    return requests.Request("GET", sent["url"], params=sent["params"]).prepare().path_url


@pytest.fixture(scope="module")
def roles(server: str, servers: RunningServers) -> Iterator[Cast]:
    """Everybody who asks."""
    made = servers.settings()
    with requests.Session() as session, asyncio.Runner() as runner:
        pool = open_database(made)
        database = runner.run(pool.__aenter__())
        try:
            yield Cast(server, World(database, made), runner, session)
        finally:
            runner.run(pool.__aexit__(None, None, None))


def ask_all(roles: Cast, name: str, examples: int) -> None:
    """So many requests of each kind to one operation, each from five: as it wants them, and as it does not.

    schemathesis' own marks would make up thousands of requests whenever tests are only collected.
    """
    operation = OPERATIONS[name]
    made_up = settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate, Phase.shrink],
    )
    described = SCHEMA[f"{PREFIX}{operation.path}"][operation.method]
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.query:
        modes.append(GenerationMode.NEGATIVE)
    for mode in modes:
        try:
            made_up(given(case=described.as_strategy(generation_mode=mode))(roles.send))()
        except Unsatisfiable:
            # Nothing is wrong for an operation that takes any text.
            assert mode is GenerationMode.NEGATIVE


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", OPERATIONS)
def test_made_up_requests(name: str, roles: Cast) -> None:
    ask_all(roles, name, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", OPERATIONS)
def test_many_made_up_requests(name: str, roles: Cast) -> None:
    ask_all(roles, name, 200)


RAW = [
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 99999999\r\n\r\n",
    b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"GET /api/v1/streams?limit=%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/streams?cursor=\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/channels/%00%0a%c3%28 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/channels/" + b"a" * 7000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nCookie: footlight_access=\xff; footlight_access=a.b.c\r\n\r\n",
    b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"x." * 3000 + b"\r\n\r\n",
    b"PATCH /api/v1/me HTTP/1.1\r\nHost: x\r\nCookie: footlight_access=a.b.c\r\nX-CSRF-Token: \xe9\r\n\r\n",
    b"POST /api/v1/auth/refresh HTTP/1.1\r\nHost: x\r\nCookie: footlight_refresh=\xe9\xff\r\n\r\n",
    b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\r\n\r\n\x00\x00",
]


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
async def test_raw_bytes(server: str, raw: bytes) -> None:
    host, _, port = server.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    writer.write_eof()
    async with asyncio.timeout(15):
        head = await reader.read(4096)
    writer.close()
    await writer.wait_closed()
    assert not head or int(head.split(b" ")[1]) < 500, head
    assert b"Traceback" not in head
