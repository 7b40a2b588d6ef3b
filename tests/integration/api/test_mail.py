"""Forgotten passwords, over a real mail server."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import update

from core.db.engine import open_database
from core.db.models import PasswordReset
from core.service import Service
from tests.api_kit import PASSWORD, Client, MailServer, new_login, running_api
from tests.harness import RunningServers

pytestmark = pytest.mark.asyncio(loop_scope="session")


def token_in(message: EmailMessage) -> str:
    """The reset token of the link in the plain text."""
    plain = message.get_body(("plain",))
    assert plain is not None
    found = re.search(r"/reset#token=(flp_[\w-]+)", plain.get_content())
    assert found is not None
    return found[1]


async def _ask(client: Client, mail_server: MailServer, email: str) -> EmailMessage:
    assert (await client("POST", "/auth/forgot", {"email": email})).status == 202
    message = await mail_server.next_to(email.lower())
    assert "set a new password" in message["Subject"]
    return message


async def test_forgotten_password(client: Client, mail_server: MailServer, api: Service) -> None:
    account = await client.register()
    email = account["user"]["email"]
    message = await _ask(client, mail_server, email.upper())
    assert message["From"] == "Footlight <footlight@127.0.0.1>"
    html = message.get_body(("html",))
    assert html is not None
    token = token_in(message)
    assert f"{api.settings.public_url}/reset#token={token}" in html.get_content()
    # Nothing that a mail program would load, and so tell somebody that the mail was read.
    assert "src=" not in html.get_content()
    new = {"token": token, "password": "brand new one"}
    assert (await client("POST", "/auth/reset", new)).status == 204
    assert (await client("GET", "/me")).code == "login_ended"
    renewed = await client("POST", "/auth/refresh", {"refresh_token": account["refresh_token"]})
    assert renewed.status == 401
    login = account["user"]["login"]
    assert (
        await client("POST", "/auth/login", {"login": login, "password": PASSWORD})
    ).status == 401
    new_login_body = {"login": login, "password": "brand new one"}
    assert (await client("POST", "/auth/login", new_login_body)).status == 200
    again = await client("POST", "/auth/reset", new)
    assert (again.status, again.code) == (422, "invalid_reset_token")
    told = await mail_server.next_to(email)
    assert "your password was changed" in told["Subject"]


async def test_an_unknown_address_is_answered_the_same(
    client: Client, mail_server: MailServer
) -> None:
    known = (await client.register())["user"]["email"]
    nobody = f"{new_login()}@example.org"
    unknown = await client("POST", "/auth/forgot", {"email": nobody})
    answer = await client("POST", "/auth/forgot", {"email": known})
    assert (unknown.status, unknown.body) == (answer.status, answer.body) == (202, "")
    # Asked for earlier, it would have come earlier.
    await mail_server.next_to(known)
    assert nobody not in mail_server.addressed


async def test_an_old_link_is_over(client: Client, mail_server: MailServer, api: Service) -> None:
    email = (await client.register())["user"]["email"]
    token = token_in(await _ask(client, mail_server, email))
    async with open_database(api.settings) as database, database.session() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(update(PasswordReset).values(expires_at=past))
    answer = await client("POST", "/auth/reset", {"token": token, "password": "brand new one"})
    assert answer.code == "invalid_reset_token"


async def test_only_the_newest_links_work(client: Client, mail_server: MailServer) -> None:
    email = (await client.register())["user"]["email"]
    tokens = [token_in(await _ask(client, mail_server, email)) for _ in range(4)]
    body = {"password": "brand new one"}
    assert (await client("POST", "/auth/reset", {**body, "token": tokens[0]})).status == 422
    assert (await client("POST", "/auth/reset", {**body, "token": tokens[1]})).status == 204
    # Using one takes the others away.
    assert (await client("POST", "/auth/reset", {**body, "token": tokens[3]})).status == 422


async def test_of_simultaneous_uses_one_wins(client: Client, mail_server: MailServer) -> None:
    email = (await client.register())["user"]["email"]
    token = token_in(await _ask(client, mail_server, email))
    answers = await asyncio.gather(
        *(
            client("POST", "/auth/reset", {"token": token, "password": f"brand new {n}"})
            for n in range(3)
        )
    )
    assert sorted(a.status for a in answers) == [204, 422, 422]


async def test_a_weak_new_password_keeps_the_link(client: Client, mail_server: MailServer) -> None:
    email = (await client.register())["user"]["email"]
    token = token_in(await _ask(client, mail_server, email))
    weak = await client("POST", "/auth/reset", {"token": token, "password": "short"})
    assert weak.code == "password_too_short"
    good = await client("POST", "/auth/reset", {"token": token, "password": "long enough"})
    assert good.status == 204


async def test_a_changed_address_is_told_to_the_old_one(
    client: Client, mail_server: MailServer
) -> None:
    user = (await client.register())["user"]
    body = {"email": f"{user['login']}@new.example", "current_password": PASSWORD}
    assert (await client("PATCH", "/me", body)).status == 200
    message = await mail_server.next_to(user["email"])
    assert "e-mail address was changed" in message["Subject"]


async def test_without_a_mail_server_it_says_so(
    servers: RunningServers, socket_folder: object
) -> None:
    settings = servers.settings(
        api_listen=f"unix:{socket_folder}/a.sock", smtp_url="", rate_limit_factor=1000
    )
    async with running_api(settings) as service:
        client = Client(service)
        try:
            assert (await client("GET", "/instance")).body["mail_enabled"] is False
            answer = await client("POST", "/auth/forgot", {"email": "a@example.org"})
            assert (answer.status, answer.code) == (409, "mail_disabled")
        finally:
            await client.close()


async def test_a_mail_server_that_is_gone_hurts_nobody(
    servers: RunningServers, socket_folder: object
) -> None:
    settings = servers.settings(
        api_listen=f"unix:{socket_folder}/b.sock",
        smtp_url="smtp://127.0.0.1:1",
        rate_limit_factor=1000,
        drain_s=0.5,
    )
    async with running_api(settings) as service:
        client = Client(service)
        try:
            email = (await client.register())["user"]["email"]
            assert (await client("POST", "/auth/forgot", {"email": email})).status == 202
        finally:
            await client.close()
