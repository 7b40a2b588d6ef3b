"""Refresh tokens, cookies with CSRF, access tokens, and the list of one's logins."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, update

from core import tokens
from core.db.engine import open_database
from core.db.models import Login, RefreshToken, SigningKey
from core.errors import Unauthorized
from core.service import Service
from tests.api_kit import PASSWORD, Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_refresh_rotates(client: Client) -> None:
    first = await client.register()
    second = await client("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert second.status == 200
    assert second.body["refresh_token"] != first["refresh_token"]
    assert second.body["user"] == first["user"]
    client.token = second.body["access_token"]
    assert (await client("GET", "/me")).status == 200


async def test_reuse_ends_the_whole_family(client: Client) -> None:
    first = await client.register()
    second = (await client("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})).body
    reused = await client("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert (reused.status, reused.code) == (401, "refresh_token_reused")
    newest = await client("POST", "/auth/refresh", {"refresh_token": second["refresh_token"]})
    assert (newest.status, newest.code) == (401, "invalid_refresh_token")
    client.token = second["access_token"]
    assert (await client("GET", "/me")).code == "login_ended"


async def test_reuse_leaves_other_logins_alone(client: Client, other: Client) -> None:
    first = await client.register()
    credentials = {"login": first["user"]["login"], "password": PASSWORD}
    other.token = (await other("POST", "/auth/login", credentials)).body["access_token"]
    for _ in range(2):
        await client("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert (await client("GET", "/me")).status == 401
    assert (await other("GET", "/me")).status == 200


async def test_of_simultaneous_refreshes_one_wins(client: Client) -> None:
    first = await client.register()
    answers = await asyncio.gather(
        *(
            client("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
            for _ in range(4)
        )
    )
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]


async def test_only_hashes_are_stored(client: Client, api: Service) -> None:
    first = await client.register()
    secret = first["refresh_token"].encode()
    async with open_database(api.settings) as database, database.session() as session:
        stored = (await session.scalars(select(RefreshToken.sha256))).all()
    assert all(len(one) == 32 and one not in secret for one in stored)


async def test_an_expired_refresh_token_is_over(client: Client, api: Service) -> None:
    first = await client.register()
    past = datetime.now(UTC) - timedelta(seconds=1)
    claims = jwt.decode(first["access_token"], options={"verify_signature": False})
    async with open_database(api.settings) as database, database.session() as session:
        mine = RefreshToken.login_id == int(claims["sid"])
        await session.execute(update(RefreshToken).where(mine).values(expires_at=past))
    answer = await client("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert (answer.status, answer.code) == (401, "invalid_refresh_token")


@pytest.mark.parametrize("token", ["", "x", "flr_" + "A" * 43, "\x00", "ä" * 50])
async def test_made_up_refresh_tokens(client: Client, token: str) -> None:
    answer = await client("POST", "/auth/refresh", {"refresh_token": token})
    assert (answer.status, answer.code) == (401, "invalid_refresh_token")


async def test_logout_ends_the_login(client: Client) -> None:
    first = await client.register()
    assert (await client("POST", "/auth/logout")).status == 204
    assert (await client("GET", "/me")).code == "login_ended"
    answer = await client("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert answer.status == 401


async def test_logout_with_the_refresh_token_alone(client: Client) -> None:
    first = await client.register()
    body = {"refresh_token": first["refresh_token"]}
    access, client.token = client.token, None
    assert (await client("POST", "/auth/logout", body)).status == 204
    client.token = access
    assert (await client("GET", "/me")).code == "login_ended"


async def _cookie_login(client: Client, other: Client) -> dict[str, str]:
    login = (await other.register())["user"]["login"]
    body = {"login": login, "password": PASSWORD, "session": "cookie"}
    answer = await client("POST", "/auth/login", body)
    assert answer.status == 200
    assert answer.body["access_token"] is None
    assert answer.body["refresh_token"] is None
    cookies = {name: morsel.OutputString() for name, morsel in answer.cookies.items()}
    assert answer.body["csrf_token"] == client.cookie("footlight_csrf")
    return cookies


async def test_cookies_have_their_attributes(browser_client: Client, other: Client) -> None:
    cookies = await _cookie_login(browser_client, other)
    for name in ("footlight_access", "footlight_refresh"):
        assert "HttpOnly" in cookies[name]
    assert "HttpOnly" not in cookies["footlight_csrf"]
    assert "Path=/api/v1/auth" in cookies["footlight_refresh"]
    for text in cookies.values():
        assert "SameSite=Lax" in text
        assert "Max-Age=" in text
        # The installation's address is plain HTTP.
        assert "Secure" not in text


async def test_unsafe_methods_under_cookies_need_the_csrf_token(
    browser_client: Client, other: Client
) -> None:
    await _cookie_login(browser_client, other)
    assert (await browser_client("GET", "/me")).status == 200
    change = {"bio": "changed"}
    answer = await browser_client("PATCH", "/me", change)
    assert (answer.status, answer.code) == (403, "csrf_failed")
    answer = await browser_client("PATCH", "/me", change, headers={"X-CSRF-Token": "0" * 40})
    assert answer.code == "csrf_failed"
    token = browser_client.cookie("footlight_csrf") or ""
    cross = {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}
    assert (await browser_client("PATCH", "/me", change, headers=cross)).code == "cross_site"
    answer = await browser_client("PATCH", "/me", change, headers={"X-CSRF-Token": token})
    assert answer.status == 200


async def test_the_csrf_token_is_bound_to_the_login(
    browser_client: Client, other: Client, client: Client
) -> None:
    await _cookie_login(browser_client, other)
    login = (await client.register())["user"]["login"]
    body = {"login": login, "password": PASSWORD, "session": "cookie"}
    foreign = (await client("POST", "/auth/login", body)).body["csrf_token"]
    answer = await browser_client("PATCH", "/me", {"bio": "x"}, headers={"X-CSRF-Token": foreign})
    assert answer.code == "csrf_failed"


async def test_refresh_and_logout_by_cookie(browser_client: Client, other: Client) -> None:
    await _cookie_login(browser_client, other)
    assert (await browser_client("POST", "/auth/refresh", {})).code == "csrf_failed"
    csrf = {"X-CSRF-Token": browser_client.cookie("footlight_csrf") or ""}
    before = browser_client.cookie("footlight_refresh")
    answer = await browser_client("POST", "/auth/refresh", {}, headers=csrf)
    assert answer.status == 200
    assert answer.body["csrf_token"] == csrf["X-CSRF-Token"]
    assert browser_client.cookie("footlight_refresh") != before
    assert (await browser_client("POST", "/auth/logout")).code == "csrf_failed"
    assert (await browser_client("POST", "/auth/logout", headers=csrf)).status == 204
    assert browser_client.cookie("footlight_access") is None
    assert browser_client.cookie("footlight_csrf") is None
    # Somebody whose cookies are gone or over may press the button again.
    assert (await browser_client("POST", "/auth/logout", headers=csrf)).status == 204


async def test_two_tabs_that_refresh_at_once_stay_logged_in(
    browser_client: Client, other: Client
) -> None:
    await _cookie_login(browser_client, other)
    csrf = {"X-CSRF-Token": browser_client.cookie("footlight_csrf") or ""}
    answers = await asyncio.gather(
        *(browser_client("POST", "/auth/refresh", {}, headers=csrf) for _ in range(2))
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert next(a for a in answers if a.status == 409).code == "refresh_raced"
    assert (await browser_client("GET", "/me")).status == 200


async def test_a_cookie_copied_and_used_later_ends_the_login(
    browser_client: Client, other: Client, api: Service
) -> None:
    await _cookie_login(browser_client, other)
    csrf = {"X-CSRF-Token": browser_client.cookie("footlight_csrf") or ""}
    stolen = browser_client.cookie("footlight_refresh")
    assert (await browser_client("POST", "/auth/refresh", {}, headers=csrf)).status == 200
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    async with open_database(api.settings) as database, database.session() as session:
        used = RefreshToken.used_at.is_not(None)
        await session.execute(update(RefreshToken).where(used).values(used_at=long_ago))
    thief = {**csrf, "Cookie": f"footlight_refresh={stolen}"}
    assert (await other("POST", "/auth/refresh", {}, headers=thief)).code == "refresh_token_reused"
    assert (await browser_client("GET", "/me")).code == "login_ended"


async def test_logins_are_listed_and_ended(client: Client, other: Client) -> None:
    login = (await client.register())["user"]["login"]
    agent = {"User-Agent": "Test Browser 1.0\t"}
    answer = await other(
        "POST", "/auth/login", {"login": login, "password": PASSWORD}, headers=agent
    )
    other.token = answer.body["access_token"]
    rows = (await client("GET", "/me/logins")).body["items"]
    assert [row["current"] for row in rows] == [False, True]
    assert rows[0]["user_agent"].startswith("Test Browser 1.0")
    assert (await client("DELETE", f"/me/logins/{rows[0]['id']}")).status == 204
    assert (await other("GET", "/me")).code == "login_ended"
    assert (await client("DELETE", f"/me/logins/{rows[0]['id']}")).code == "login_not_found"


async def test_nobody_ends_somebody_elses_login(client: Client, other: Client) -> None:
    await client.register()
    await other.register()
    mine = (await client("GET", "/me/logins")).body["items"][0]["id"]
    assert (await other("DELETE", f"/me/logins/{mine}")).status == 404
    assert (await client("GET", "/me")).status == 200


async def test_logins_page_by_cursor(client: Client) -> None:
    login = (await client.register())["user"]["login"]
    for _ in range(4):
        await client("POST", "/auth/login", {"login": login, "password": PASSWORD}, headers={})
    seen, cursor = [], None
    while True:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await client("GET", "/me/logins", params=query)).body
        seen += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, key=int, reverse=True)


# --- access tokens --------------------------------------------------------------------------------


async def test_protected_operations_need_a_token(client: Client) -> None:
    answer = await client("GET", "/me")
    assert (answer.status, answer.code) == (401, "not_logged_in")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    for header in ("Basic abc", "Bearer", "Bearer ", "Bearer a.b.c", "Bearer \xff"):
        answer = await client("GET", "/me", headers={"Authorization": header})
        assert (answer.status, answer.code) == (401, "invalid_token"), header


def _segment(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


async def test_forged_tokens_are_refused(client: Client) -> None:
    token = (await client.register())["access_token"]
    header, payload, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    head = jwt.get_unverified_header(token)
    assert (head["alg"], head["typ"]) == ("EdDSA", "at+jwt")
    own = Ed25519PrivateKey.generate()
    forged = [
        f"{_segment({**head, 'alg': 'none'})}.{payload}.",
        jwt.encode(claims, "x" * 32, "HS256", head | {"alg": "HS256"}),
        jwt.encode(claims, own, "EdDSA", head),
        jwt.encode(claims, own, "EdDSA", head | {"kid": "unknown"}),
        jwt.encode(claims, own, "EdDSA", {"typ": "at+jwt"}),
        f"{header}.{_segment({**claims, 'sub': '1'})}.{signature}",
        f"{_segment({**head, 'typ': 'JWT'})}.{payload}.{signature}",
    ]
    for one in forged:
        client.token = one
        answer = await client("GET", "/me")
        assert (answer.status, answer.code) == (401, "invalid_token"), one


async def test_claims_are_required_and_expiry_has_a_minutes_leeway(
    client: Client, api: Service
) -> None:
    token = (await client.register())["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    head = jwt.get_unverified_header(token)
    async with open_database(api.settings) as database:
        verifier = tokens.Tokens(database, api.settings)
        await verifier.issue(1, 1)
        keys = await verifier._current()
        now = int(datetime.now(UTC).timestamp())

        async def answer_for(changed: dict[str, object], **header: str) -> str:
            client.token = jwt.encode(
                changed, keys.signing, "EdDSA", {**head, "kid": keys.signing_kid, **header}
            )
            answer = await client("GET", "/me")
            return "ok" if answer.status == 200 else answer.code

        assert await answer_for(claims) == "ok"
        assert await answer_for({**claims, "exp": now - 50}) == "ok"
        assert await answer_for({**claims, "exp": now - 70}) == "token_expired"
        assert await answer_for({**claims, "aud": "else"}) == "invalid_token"
        assert await answer_for({**claims, "iss": "else"}) == "invalid_token"
        assert await answer_for({**claims, "iat": now + 600}) == "invalid_token"
        assert await answer_for({**claims, "sub": "me"}) == "invalid_token"
        assert await answer_for({**claims, "sid": "999999999"}) == "login_ended"
        for name in ("exp", "aud", "iss", "sub", "sid"):
            without = {k: v for k, v in claims.items() if k != name}
            assert await answer_for(without) == "invalid_token", name
        assert await answer_for(claims, typ="JWT") == "invalid_token"


async def test_rotation_keeps_old_tokens_until_they_are_over(client: Client, api: Service) -> None:
    old = (await client.register())["access_token"]
    async with open_database(api.settings) as database:
        async with database.session() as session:
            kid = await tokens.rotate(session, api.settings)
        fresh = tokens.Tokens(database, api.settings)
        new, _ = await fresh.issue(1, 1)
        assert jwt.get_unverified_header(new)["kid"] == kid
        assert (await fresh.verify(old)).user_id > 0
        async with database.session() as session:
            retired = jwt.get_unverified_header(old)["kid"]
            row = await session.get(SigningKey, retired)
            assert row is not None and row.verify_until is not None
            life = row.verify_until - datetime.now(UTC)
            assert life > timedelta(seconds=api.settings.access_token_s)
            row.verify_until = datetime.now(UTC) - timedelta(seconds=1)
        with pytest.raises(Unauthorized):
            await tokens.Tokens(database, api.settings).verify(old)
        async with database.session() as session:
            again = await session.get(SigningKey, retired)
            assert again is not None
            again.verify_until = datetime.now(UTC) + timedelta(hours=1)


async def test_the_running_process_learns_of_a_new_key(client: Client, api: Service) -> None:
    account = await client.register()
    claims = jwt.decode(account["access_token"], options={"verify_signature": False})
    async with open_database(api.settings) as database:
        async with database.session() as session:
            await tokens.rotate(session, api.settings)
        fresh = tokens.Tokens(database, api.settings)
        # The API has not seen this kid: it looks again, but not at every unknown one.
        await asyncio.sleep(tokens.RELOAD_MIN_S)
        client.token, _ = await fresh.issue(int(claims["sub"]), int(claims["sid"]))
    assert (await client("GET", "/me")).status == 200


async def test_ended_logins_of_a_user_are_marked(client: Client, api: Service) -> None:
    account = await client.register()
    claims = jwt.decode(account["access_token"], options={"verify_signature": False})
    await client("POST", "/auth/logout")
    async with open_database(api.settings) as database, database.session() as session:
        row = await session.get(Login, int(claims["sid"]))
        assert row is not None and row.end_reason == "logout"
