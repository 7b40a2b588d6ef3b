"""Rate limits, client addresses, and what happens without Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.service import Service
from tests.api_kit import PASSWORD, Answer, Client, new_login, running_api
from tests.harness import RunningServers

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def strict(servers: RunningServers, socket_folder: Path) -> AsyncIterator[Service]:
    """An API with the limits as they are delivered."""
    async with running_api(servers.settings(api_listen=f"unix:{socket_folder}/a.sock")) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def caller(strict: Service) -> AsyncIterator[Client]:
    """A caller from an address of its own."""
    client = Client(strict)
    client.headers["X-Real-IP"] = _address()
    yield client
    await client.close()


def _address() -> str:
    number = int(new_login().partition("_")[2])
    return f"198.51.{number // 250}.{number % 250 + 1}"


async def _until_limited(caller: Client, body: dict[str, str], **more: Any) -> list[Answer]:
    """Log in again and again; every answer up to the first that says 429."""
    answers: list[Answer] = []
    began = time.monotonic()
    while not answers or answers[-1].status != 429:
        answers.append(await caller("POST", "/auth/login", body, **more))
        # Ten at once, and one more every half minute.
        assert len(answers) <= 12 + (time.monotonic() - began) / 30
    assert len(answers) > 10
    assert {a.status for a in answers[:-1]} == {401}
    return answers


async def test_guessing_a_password_is_limited(caller: Client) -> None:
    login = (await caller.register())["user"]["login"]
    answers = await _until_limited(caller, {"login": login, "password": "wrong password"})
    limited = answers[-1]
    assert limited.code == "rate_limited"
    wait = limited.body["error"]["retry_after"]
    assert 0 < wait <= 30
    assert limited.headers["Retry-After"] == str(wait)
    # The right one is refused as well, or the limit would tell which it is.
    right = {"login": login, "password": PASSWORD}
    assert (await caller("POST", "/auth/login", right)).status == 429
    # From elsewhere the owner gets in.
    elsewhere = {"X-Real-IP": _address()}
    assert (await caller("POST", "/auth/login", right, headers=elsewhere)).status == 200
    # By its e-mail address it is another subject, but the address counts them all.
    assert (await caller("GET", "/me")).status == 200


async def test_a_limit_counts_unknown_accounts_too(caller: Client) -> None:
    await _until_limited(caller, {"login": "nobody_at_all", "password": "wrong password"})


async def test_an_address_is_limited_over_all_accounts(caller: Client) -> None:
    async def attempt(number: int) -> int:
        body = {"login": f"nobody_{number}", "password": "wrong password"}
        return (await caller("POST", "/auth/login", body)).status

    watch = time.monotonic()
    statuses: list[int] = []
    for first in range(0, 70, 10):
        statuses += await asyncio.gather(*(attempt(n) for n in range(first, first + 10)))
    # One more every five seconds.
    refilled = (time.monotonic() - watch) / 5 + 1
    assert 60 <= statuses.count(401) <= 60 + refilled
    assert statuses.count(401) + statuses.count(429) == 70


async def test_an_ipv6_household_is_one_address(caller: Client) -> None:
    net = f"2001:db8:0:{int(new_login().partition('_')[2]):x}"
    body = {"login": "nobody_v6", "password": "wrong password"}
    for last in range(1, 11):
        here = {"X-Real-IP": f"{net}::{last}"}
        assert (await caller("POST", "/auth/login", body, headers=here)).status == 401
    await _until_one_is_refused(caller, body, f"{net}:1:2:3:4")


async def _until_one_is_refused(caller: Client, body: dict[str, str], address: str) -> None:
    headers = {"X-Real-IP": address}
    answers = [await caller("POST", "/auth/login", body, headers=headers) for _ in range(3)]
    assert 429 in {answer.status for answer in answers}


async def test_stream_keys_are_limited(caller: Client) -> None:
    await caller.register()
    statuses: list[int] = []
    while 429 not in statuses and len(statuses) < 25:
        answer = await caller("POST", "/me/stream-keys", {"name": "OBS"})
        statuses.append(answer.status)
        if answer.status == 201:
            await caller("DELETE", f"/me/stream-keys/{answer.body['id']}")
    assert statuses[:20] == [201] * 20
    assert statuses[-1] == 429


async def test_follows_are_limited(caller: Client, strict: Service) -> None:
    await caller.register()
    other = Client(strict)
    other.headers["X-Real-IP"] = _address()
    login = (await other.register())["user"]["login"]
    await other.close()
    began = time.monotonic()
    statuses: list[int] = []
    while 429 not in statuses:
        method = "PUT" if len(statuses) % 2 == 0 else "DELETE"
        statuses.append((await caller(method, f"/channels/{login}/follow")).status)
        # Sixty at once, and one more every ten seconds.
        assert len(statuses) <= 62 + (time.monotonic() - began) / 10
    assert statuses[:60] == [200] * 60


async def test_reports_are_limited(caller: Client) -> None:
    await caller.register()
    body = {"kind": "user", "user": "nobody_here", "reason": "spam"}
    began = time.monotonic()
    statuses: list[int] = []
    while 429 not in statuses:
        statuses.append((await caller("POST", "/reports", body)).status)
        # Twenty at once, and one more every three minutes.
        assert len(statuses) <= 22 + (time.monotonic() - began) / 180
    assert statuses[:20] == [404] * 20


async def test_without_redis_guessing_is_refused_and_logins_go_on(
    servers: RunningServers, socket_folder: Path, caller: Client
) -> None:
    account = await caller.register()
    settings = servers.settings(
        api_listen=f"unix:{socket_folder}/b.sock",
        redis_url=f"unix://{socket_folder}/nothing.sock",
        request_timeout_s=1,
    )
    async with running_api(settings) as service:
        client = Client(service)
        try:
            body = {"login": account["user"]["login"], "password": PASSWORD}
            answer = await client("POST", "/auth/login", body)
            assert (answer.status, answer.code) == (503, "unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
            client.token = account["access_token"]
            assert (await client("GET", "/me")).status == 200
            token = {"refresh_token": account["refresh_token"]}
            assert (await client("POST", "/auth/refresh", token)).status == 200
            assert (await client("GET", "/streams")).status == 200
            ready = await client("GET", "/readyz")
            assert ready.status == 503
            assert ready.body["checks"]["redis"] == "failing"
            assert ready.body["checks"]["postgres"] == "ok"
        finally:
            await client.close()


async def test_only_trusted_proxies_name_the_client(
    servers: RunningServers, free_address: str
) -> None:
    for trusted, counted in (([], "127.0.0.1"), (["127.0.0.0/8"], "203.0.113.9")):
        settings = servers.settings(
            api_listen=free_address, trusted_proxies=trusted, rate_limit_factor=9
        )
        async with running_api(settings) as service:
            client = Client(service)
            client.headers["X-Real-IP"] = "203.0.113.9"
            try:
                await client.register()
                login = (await client("GET", "/me/logins")).body["items"][0]
                assert login["ip"] == counted
            finally:
                await client.close()
