"""What tests of the API share: a caller, the API in the test's own process, a mail server."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as default_policy
from typing import Any, TypeVar
from unittest.mock import patch

import aiohttp
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as SmtpSession
from argon2 import PasswordHasher
from jsonschema import Draft202012Validator
from sqlalchemy import delete

from api.accounts import passwords
from api.app import build
from core.bus import open_bus
from core.db.engine import Database, open_database
from core.db.models import SettingsVersion
from core.events import Event
from core.instance_settings import InstanceSettings
from core.outbox import emit
from core.service import Service
from core.settings import Settings
from tests.chat_kit import Person
from tests.harness import eventually_async, running_service

E = TypeVar("E", bound=Event)
PASSWORD = "correct horse"
_names = itertools.count(1)


def new_login(prefix: str = "user") -> str:
    """A login that no other test has."""
    return f"{prefix}_{next(_names)}"


@dataclass
class Answer:
    """Status, decoded body and headers of one response."""

    status: int
    body: Any
    headers: Any
    cookies: Any

    @property
    def code(self) -> str:
        """The error code."""
        return str(self.body["error"]["code"])


class Client:
    """A caller of the API. `token` is sent as bearer; `headers` with every request."""

    def __init__(self, service: Service, *, cookies: bool = False) -> None:
        address = service.settings.api_listen
        is_unix = address.startswith("unix:")
        connector = aiohttp.UnixConnector(address.removeprefix("unix:")) if is_unix else None
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.CookieJar(unsafe=True) if cookies else aiohttp.DummyCookieJar(),
            base_url="http://127.0.0.1" if is_unix else f"http://{address}",
        )
        self.service = service
        self.token: str | None = None
        self.headers: dict[str, str] = {}

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        sent = {**self.headers, **(headers or {})}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            more["json"] = body
        prefix = "" if path.startswith(("/api/", "/healthz", "/readyz", "/metrics")) else "/api/v1"
        async with self._session.request(method, prefix + path, headers=sent, **more) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            content = await response.json() if is_json and text else text
            return Answer(response.status, content, response.headers, response.cookies)

    def cookie(self, name: str, path: str = "/") -> str | None:
        """The value of a cookie that this client would send to `path`."""
        for cookie in self._session.cookie_jar:
            if cookie.key == name:
                return cookie.value
        return None

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()

    async def register(self, login: str | None = None) -> dict[str, Any]:
        """Make an account and use it: what registering answered."""
        login = login or new_login()
        account = {"login": login, "email": f"{login}@example.org", "password": PASSWORD}
        answer = await self("POST", "/auth/register", account)
        assert answer.status == 201, answer
        self.token = answer.body["access_token"]
        content: dict[str, Any] = answer.body
        return content


class Document:
    """The OpenAPI document, which every answer has to fit."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.seen: set[tuple[str, str, int]] = set()
        self._templates = {
            re.compile(re.sub(r"{\w+}", "[^/]+", path)): path for path in content["paths"]
        }

    def check(self, method: str, path: str, answer: Answer) -> None:
        """Assert that `answer` is what the document says of this operation."""
        path = path if path.startswith("/api/") else f"/api/v1{path}"
        found = [t for form, t in self._templates.items() if form.fullmatch(path)]
        # /emotes/{id} beside /emotes/global: the one without a parameter.
        template = min(found, key=lambda t: t.count("{"))
        operation = self.content["paths"][template][method.lower()]
        assert str(answer.status) in operation["responses"], (method, path, answer)
        self.seen.add((method, template.removeprefix("/api/v1"), answer.status))
        response = operation["responses"][str(answer.status)]
        if "content" not in response:
            assert answer.body == "", (method, path, answer)
            return
        schema = {
            **response["content"]["application/json"]["schema"],
            "components": self.content["components"],
        }
        Draft202012Validator(schema).validate(answer.body)
        if answer.status >= 400:
            assert f"`{answer.code}`" in response["description"], (method, path, answer)


class Account(Client):
    """Somebody who is logged in; every answer is compared with the document."""

    user: dict[str, Any]
    document: Document

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        answer = await super().__call__(method, path, body, **more)
        self.document.check(method, path, answer)
        return answer

    @property
    def id(self) -> int:
        """The account's id."""
        return int(self.user["id"])

    @property
    def login(self) -> str:
        """The account's login."""
        return str(self.user["login"])

    @property
    def name(self) -> dict[str, Any]:
        """How the account is named in answers."""
        return {k: self.user[k] for k in ("id", "login", "display_name")}

    @property
    def person(self) -> Person:
        """The account as chat's clients take it."""
        return Person(self.id, self.login, self.token or "", 0)

    async def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """A whole list, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            answer = await self("GET", path, params=query)
            assert answer.status == 200, answer
            found += answer.body["items"]
            if answer.body["next_cursor"] is None:
                return found
            query["cursor"] = answer.body["next_cursor"]


#: The memory of real hashes was a third of what tests of the API cost.
CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def fixed_settings() -> dict[str, Any]:
    """What no test of another file may change under this API: its environment says it."""
    names = InstanceSettings.model_fields.keys() & Settings.model_fields.keys()
    values = {name: Settings.model_fields[name].default for name in names}
    return {**values, "streaming_open": True, "rate_limit_factor": 1000.0}


async def forget_settings(settings: Settings) -> None:
    """As if nobody had ever chosen any."""
    async with open_database(settings) as database, database.session() as session:
        await session.execute(delete(SettingsVersion))


@asynccontextmanager
async def running_api(settings: Settings) -> AsyncIterator[Service]:
    """The API, ready, in this process. Its password hashes are of the real kind, but cheap."""
    with patch.object(passwords, "_HASHER", CHEAP):
        async with running_service("api", build, settings) as (service, _):
            yield service


@dataclass
class MailServer:
    """A mail server that keeps what it gets."""

    url: str
    received: asyncio.Queue[EmailMessage] = field(default_factory=asyncio.Queue)
    addressed: set[str] = field(default_factory=set)

    async def next_to(self, address: str) -> EmailMessage:
        """The next message to `address`, at most 10 s from now; what is for others is passed over."""
        async with asyncio.timeout(10):
            while True:
                message = await self.received.get()
                if message["To"] == address:
                    return message


@asynccontextmanager
async def running_mail_server() -> AsyncIterator[MailServer]:
    """A real SMTP server on a free port."""
    loop = asyncio.get_running_loop()
    mails = MailServer("")

    class Keep:
        async def handle_DATA(
            self, _server: SMTP, _session: SmtpSession, envelope: Envelope
        ) -> str:
            content = envelope.original_content or b""
            mails.addressed.update(envelope.rcpt_tos)
            mails.received.put_nowait(BytesParser(policy=default_policy).parsebytes(content))
            return "250 OK"

    server = await loop.create_server(lambda: SMTP(Keep(), loop=loop), "127.0.0.1", 0)
    try:
        mails.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield mails
    finally:
        server.close()
        await server.wait_closed()


class Seen:
    """Every event that JetStream has delivered, and a way to publish one as a service would."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._events: list[Event] = []
        self._more = asyncio.Condition()

    async def keep(self, event: Event) -> None:
        """Handler of the consumer."""
        async with self._more:
            self._events.append(event)
            self._more.notify_all()

    async def wait_for(self, kind: type[E], wanted: Callable[[E], bool], within_s: float = 10) -> E:
        """The first event of this class that `wanted` accepts, past or to come."""

        def found() -> E | None:
            return next((e for e in self._events if isinstance(e, kind) and wanted(e)), None)

        async with asyncio.timeout(within_s), self._more:
            await self._more.wait_for(lambda: found() is not None)
        event = found()
        assert event is not None
        return event

    def count(self, kind: type[E], wanted: Callable[[E], bool]) -> int:
        """How many have come."""
        return sum(1 for e in self._events if isinstance(e, kind) and wanted(e))

    async def tell(self, event: Event) -> None:
        """Publish through the outbox, as the service does that the event belongs to."""
        async with self._database.session() as session:
            await emit(session, event)

    async def until(self, check: Callable[[], Awaitable[bool]]) -> None:
        """Wait until `check` is true."""
        await eventually_async(check)


@asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Seen]:
    """Sees events from the beginning of the event stream."""
    async with open_database(settings) as database, open_bus(settings) as bus:
        seen = Seen(database)
        name = f"test-{secrets.token_hex(4)}"
        consumer = asyncio.create_task(bus.consume(name, Event.kinds(), seen.keep))
        try:
            yield seen
        finally:
            consumer.cancel()
            await asyncio.gather(consumer, return_exceptions=True)
