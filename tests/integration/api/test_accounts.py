"""Accounts over HTTP: registering, logging in, one's own account."""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from core.service import Service
from tests.api_kit import PASSWORD, Client, new_login

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_register_answers_a_login(client: Client) -> None:
    login = new_login()
    answer = await client(
        "POST",
        "/auth/register",
        {"login": login, "email": f"{login.upper()}@Example.org", "password": PASSWORD},
    )
    assert answer.status == 201
    assert answer.body["token_type"] == "Bearer"
    assert answer.body["expires_in"] == 900
    user = answer.body["user"]
    assert user["login"] == login
    assert user["email"] == f"{login}@example.org"
    assert user["role"] == "creator"
    assert user["may_stream"] is True
    assert user["id"].isdigit()
    client.token = answer.body["access_token"]
    assert (await client("GET", "/me")).body == user


async def test_taken_names_are_conflicts(client: Client) -> None:
    login = (await client.register())["user"]["login"]
    fresh = new_login()
    answer = await client(
        "POST",
        "/auth/register",
        {"login": login, "email": f"{fresh}@example.org", "password": PASSWORD},
    )
    assert (answer.status, answer.code, answer.body["error"]["field"]) == (
        409,
        "login_taken",
        "login",
    )
    answer = await client(
        "POST",
        "/auth/register",
        {"login": fresh, "email": f"{login}@EXAMPLE.org", "password": PASSWORD},
    )
    assert (answer.status, answer.code) == (409, "email_taken")


async def test_one_of_many_simultaneous_registrations_wins(client: Client) -> None:
    login = new_login()

    async def register(number: int) -> int:
        body = {"login": login, "email": f"{login}.{number}@example.org", "password": PASSWORD}
        return (await client("POST", "/auth/register", body)).status

    statuses = await asyncio.gather(*(register(n) for n in range(5)))
    assert sorted(statuses) == [201, 409, 409, 409, 409]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"login": "Upper"}, "invalid_login", "login"),
        ({"login": "_abc"}, "invalid_login", "login"),
        ({"login": "ab"}, "invalid_login", "login"),
        ({"login": "a" * 26}, "invalid_login", "login"),
        ({"login": "admin"}, "login_reserved", "login"),
        ({"login": "api"}, "login_reserved", "login"),
        ({"email": "nobody"}, "invalid_email", "email"),
        ({"email": "a@b.c\nBcc: d@e.f"}, "invalid_email", "email"),
        ({"password": "short"}, "password_too_short", "password"),
        ({"password": "x" * 129}, "password_too_long", "password"),
        ({"display_name": "\u202eevil"}, "invalid_character", "display_name"),
        ({"display_name": "\u200d"}, "too_short", "display_name"),
        ({"display_name": "x" * 41}, "too_long", "display_name"),
        ({"role": "admin"}, "unknown_field", "role"),
        ({"login": 5}, "invalid_field", "login"),
        ({"login": None}, "invalid_field", "login"),
    ],
)
async def test_register_refuses(
    client: Client, change: dict[str, object], code: str, field: str
) -> None:
    login = new_login()
    body = {"login": login, "email": f"{login}@example.org", "password": PASSWORD, **change}
    answer = await client("POST", "/auth/register", body)
    assert (answer.status, answer.code) == (422, code)
    assert answer.body["error"]["field"] == field


async def test_missing_fields_are_named(client: Client) -> None:
    answer = await client("POST", "/auth/register", {"login": new_login()})
    assert (answer.status, answer.code, answer.body["error"]["field"]) == (
        422,
        "field_missing",
        "email",
    )


async def test_log_in_by_login_and_by_email(client: Client) -> None:
    login = (await client.register())["user"]["login"]
    for name in (login, login.upper(), f" {login} ", f"{login}@example.org"):
        answer = await client("POST", "/auth/login", {"login": name, "password": PASSWORD})
        assert answer.status == 200
        assert answer.body["user"]["login"] == login


async def test_unknown_and_wrong_look_and_take_the_same(client: Client) -> None:
    login = (await client.register())["user"]["login"]

    async def attempt(name: str) -> tuple[float, object]:
        began = time.perf_counter()
        answer = await client("POST", "/auth/login", {"login": name, "password": "wrong password"})
        assert answer.status == 401
        return time.perf_counter() - began, answer.body

    # In turn: others may want this machine's cores for a moment.
    pairs = [(await attempt(login), await attempt(f"{login}x")) for _ in range(8)]
    known, unknown = zip(*pairs, strict=True)
    assert {str(body) for _, body in known} == {str(body) for _, body in unknown}
    medians = [statistics.median(taken for taken, _ in some) for some in (known, unknown)]
    # A hash takes tens of milliseconds; without one the difference would be nearly all of it.
    assert abs(medians[0] - medians[1]) < 0.5 * max(medians)


async def test_patch_me(client: Client) -> None:
    await client.register()
    answer = await client("PATCH", "/me", {"display_name": "  Zoë 🎬 ", "bio": "Hi\nthere"})
    assert answer.status == 200
    assert (answer.body["display_name"], answer.body["bio"]) == ("Zoë 🎬", "Hi\nthere")
    login = answer.body["login"]
    channel = await client("GET", f"/channels/{login}")
    assert channel.body["display_name"] == "Zoë 🎬"


async def test_email_change_needs_the_password(client: Client, other: Client) -> None:
    login = (await client.register())["user"]["login"]
    taken = (await other.register())["user"]["email"]
    new = f"{login}@new.example"
    answer = await client("PATCH", "/me", {"email": new})
    assert (answer.status, answer.body["error"]["field"]) == (422, "current_password")
    answer = await client("PATCH", "/me", {"email": new, "current_password": "wrong one"})
    assert (answer.status, answer.code) == (403, "wrong_password")
    answer = await client("PATCH", "/me", {"email": taken, "current_password": PASSWORD})
    assert (answer.status, answer.code) == (409, "email_taken")
    answer = await client("PATCH", "/me", {"email": new, "current_password": PASSWORD})
    assert (answer.status, answer.body["email"]) == (200, new)


async def test_password_change_ends_other_logins(client: Client, other: Client) -> None:
    login = (await client.register())["user"]["login"]
    second = await other("POST", "/auth/login", {"login": login, "password": PASSWORD})
    other.token = second.body["access_token"]
    assert (await other("GET", "/me")).status == 200
    body = {"current_password": PASSWORD, "new_password": "another password"}
    assert (await client("POST", "/me/password", body)).status == 204
    assert (await client("GET", "/me")).status == 200
    answer = await other("GET", "/me")
    assert (answer.status, answer.code) == (401, "login_ended")
    old = await other("POST", "/auth/login", {"login": login, "password": PASSWORD}, headers={})
    assert old.status == 401
    new = await other("POST", "/auth/login", {"login": login, "password": "another password"})
    assert new.status == 200


async def test_delete_account(client: Client, other: Client, api: Service) -> None:
    account = await client.register()
    login = account["user"]["login"]
    key = (await client("POST", "/me/stream-keys", {"name": "OBS"})).body
    assert (await client("DELETE", "/me", {"password": "wrong"})).code == "wrong_password"
    assert (await client("DELETE", "/me", {"password": PASSWORD})).status == 204
    assert (await client("GET", "/me")).status == 401
    assert (await client("GET", f"/channels/{login}")).status == 404
    assert (
        await client("POST", "/auth/login", {"login": login, "password": PASSWORD})
    ).status == 401
    renewed = await client("POST", "/auth/refresh", {"refresh_token": account["refresh_token"]})
    assert renewed.status == 401
    # Nobody poses as the one who left; the address is free again.
    body = {"login": login, "email": f"{login}@example.org", "password": PASSWORD}
    assert (await other("POST", "/auth/register", body)).code == "login_taken"
    assert (await other("POST", "/auth/register", {**body, "login": new_login()})).status == 201
    assert key["key"].startswith(f"live_{key['id']}_")
