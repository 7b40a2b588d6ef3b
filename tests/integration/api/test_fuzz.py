"""Requests made up from the OpenAPI document: no answer is an accident, every answer is documented."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import one_of
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import operations
from api.openapi import document
from cli.instance import free_port
from core.settings import Settings
from tests.api_kit import PASSWORD
from tests.harness import SOURCE, RunningServers, eventually

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DOCUMENT = document(operations(), Settings(secret_key="x" * 32))  # type: ignore[arg-type]
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
NAMES = [f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in item]


@pytest.fixture(scope="module")
def server(servers: RunningServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an API in a process of its own, over TCP."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    address = f"127.0.0.1:{free_port(set())}"
    environment = {
        **os.environ,
        **servers.environment,
        "PYTHONPATH": str(SOURCE),
        "FOOTLIGHT_API_LISTEN": address,
        "FOOTLIGHT_RATE_LIMIT_FACTOR": "1000",
    }
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "api"], env=environment, stderr=file)
    try:
        eventually(lambda: b"service_ready" in log.read_bytes(), within_s=30, what="ready")
        yield f"http://{address}"
        process.terminate()
        assert process.wait(20) == 0
        assert b"Traceback" not in log.read_bytes(), log.read_text()
    finally:
        process.kill()
        process.wait()


def _account(server: str) -> dict[str, Any]:
    login = f"fuzz_{uuid.uuid4().hex[:12]}"
    body = {"login": login, "email": f"{login}@example.org", "password": PASSWORD}
    answer = httpx.post(f"{server}/api/v1/auth/register", json=body, timeout=30)
    assert answer.status_code == 201
    content: dict[str, Any] = answer.json()
    return content


@pytest.fixture(scope="module")
def reader(server: str) -> dict[str, Any]:
    """Somebody who is logged in, for requests that change nothing."""
    return _account(server)


def ask_made_up(name: str, server: str, reader: dict[str, Any], examples: int) -> None:
    """Requests to one operation, such as "GET /api/v1/me", by somebody who is logged in."""
    method, _, path = name.partition(" ")
    described = SCHEMA[path][method]
    account = reader if method == "GET" else _account(server)

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=one_of([described.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def ask(case: Any) -> None:
        headers = {"Authorization": f"Bearer {account['access_token']}"}
        response = case.call(base_url=server, headers=headers, timeout=30)
        if response.status_code < 300 and (path.endswith("/logout") or method == "DELETE"):
            # It may have ended the login that the next request would use.
            account.update(_account(server))
        case.validate_response(response, checks=CHECKS)

    ask()


# Not SCHEMA.parametrize(): its tests are made when they are collected, by each worker anew, which takes
# longer than they do; and they share one id, by which several workers run only the first of them.
@pytest.mark.parametrize("name", NAMES)
def test_made_up_requests(name: str, server: str, reader: dict[str, Any]) -> None:
    ask_made_up(name, server, reader, examples=4)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_many_made_up_requests(name: str, server: str, reader: dict[str, Any]) -> None:
    ask_made_up(name, server, reader, examples=100)


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
