"""The OpenAPI document and the page: the same operations as the routes, and answers that fit."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import operations
from api.openapi import errors_of
from core.service import Service
from tests.api_kit import PASSWORD, Client, Document, new_login

pytestmark = pytest.mark.asyncio(loop_scope="session")


def filled(path: str) -> str:
    """A path of the document with something in place of its parameters."""
    for name, value in {
        "login": "nobody_here",
        "user": "nobody_here",
        "id": "1",
        "message": str(UUID(int=1)),
        "upload": str(UUID(int=1)),
        "clip": "AAAAAAAAAAA",
    }.items():
        path = path.replace(f"{{{name}}}", value)
    return path


async def _document(client: Client) -> dict[str, Any]:
    answer = await client("GET", "/api/openapi.json")
    assert answer.status == 200
    content: dict[str, Any] = answer.body
    return content


async def test_it_is_valid_openapi(client: Client) -> None:
    OpenAPIV31SpecValidator(await _document(client)).validate()


async def test_documented_and_served_are_the_same(client: Client) -> None:
    document = await _document(client)
    documented = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    declared = {(o.method, f"/api/v1{o.path}") for o in operations()}
    assert documented == declared
    names = [o.name for o in operations()]
    assert len(names) == len(set(names))
    for method, path in declared:
        answer = await client(method, filled(path))
        served = not (
            answer.status in (404, 405) and answer.code in ("not_found", "method_not_allowed")
        )
        assert served, (method, path, answer)


async def test_nothing_else_is_served(client: Client) -> None:
    for path in ("/api/v1", "/api/v1/", "/api/v1/users", "/api/v1/streams/", "/api", "/api/v2/me"):
        answer = await client("GET", path)
        assert (answer.status, answer.code) == (404, "not_found"), path
    answer = await client("PUT", "/me")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD", "PATCH", "DELETE"}


class Checked:
    """A client whose every answer is compared with the document."""

    def __init__(self, client: Client, content: dict[str, Any]) -> None:
        self._client = client
        self.document = Document(content)

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self._client(method, path, body, **more)
        self.document.check(method, path, answer)
        return answer


async def test_answers_fit_their_schemas(client: Client, api: Service) -> None:
    call = Checked(client, await _document(client))
    login = new_login()
    account = {"login": login, "email": f"{login}@example.org", "password": PASSWORD}
    await call("GET", "/instance")
    await call("GET", "/me")
    made = (await call("POST", "/auth/register", account)).body
    await call("POST", "/auth/register", account)
    await call("POST", "/auth/register", {})
    await call("POST", "/auth/login", {"login": login, "password": "wrong password"})
    cookie = {"login": login, "password": PASSWORD, "session": "cookie"}
    await call("POST", "/auth/login", cookie)
    await call("POST", "/auth/refresh", {"refresh_token": made["refresh_token"]})
    await call("POST", "/auth/refresh", {"refresh_token": "flr_none"})
    client.token = made["access_token"]
    await call("GET", "/me")
    await call("PATCH", "/me", {"bio": "hello"})
    await call("PATCH", "/me", {"email": "a@b.c", "current_password": "wrong password"})
    await call("GET", "/me/logins")
    await call("DELETE", "/me/logins/999999")
    key = (await call("POST", "/me/stream-keys", {"name": "OBS"})).body
    await call("GET", "/me/stream-keys")
    await call("DELETE", f"/me/stream-keys/{key['id']}")
    await call("DELETE", f"/me/stream-keys/{key['id']}")
    await call("GET", f"/channels/{login}")
    await call("GET", "/channels/nobody_here")
    await call("PATCH", f"/channels/{login}", {"title": "Hello", "tags": ["a"]})
    await call("PATCH", f"/channels/{login}", {"title": 1})
    await call("POST", f"/channels/{login}/stream/end")
    await call("GET", "/streams")
    await call("GET", "/streams", params={"limit": "0"})
    await call("GET", "/me/stream")
    await call("GET", "/me/stream/health")
    await call("POST", "/auth/forgot", {"email": f"{login}@example.org"})
    await call("POST", "/auth/reset", {"token": "flp_none", "password": PASSWORD})
    change = {"current_password": PASSWORD, "new_password": "another one"}
    await call("POST", "/me/password", change)
    await call("DELETE", "/me", {"password": "wrong password"})
    await call("DELETE", "/me", {"password": "another one"})
    await call("POST", "/auth/logout")
    # Of the rest, every test looks at its own (tests.api_kit.Account); here, at the refusal.
    called = {(method, template) for method, template, _ in call.document.seen}
    for operation in operations():
        if (operation.method, operation.path) not in called:
            await call(operation.method, filled(operation.path))


async def test_every_operation_says_what_may_go_wrong() -> None:
    for operation in operations():
        assert operation.summary and operation.description, operation.name
        assert all(codes for codes in errors_of(operation).values())


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        if values.get("id"):
            self.ids.add(values["id"] or "")
        if tag == "a":
            self.links.append(values.get("href") or "")
        assert "style" not in values and not any(name.startswith("on") for name in values)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page(client: Client) -> None:
    answer = await client("GET", "/api/docs")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "style-src 'self'" in answer.headers["Content-Security-Policy"]
    page = _Page()
    page.feed(answer.body)
    assert page.open == []
    assert "script" not in page.tags and "style" not in page.tags
    assert {o.name for o in operations()} <= page.ids
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids
    style = await client("GET", "/api/docs/style.css")
    assert (style.status, style.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


async def test_documents_are_not_sent_twice(client: Client) -> None:
    first = await client("GET", "/api/openapi.json")
    again = await client(
        "GET", "/api/openapi.json", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status, again.body) == (304, "")
