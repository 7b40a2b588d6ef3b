"""Every operation of the API, asked by somebody about what is another's: nothing is told, nothing changes."""

from __future__ import annotations

import json
from collections.abc import Callable

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import select

from api.app import operations
from api.app_tokens.tokens import add_token
from api.operations import Auth, Operation
from core.app_tokens import Scope
from core.db.engine import Database
from core.db.models import Base, Role
from core.service import Service
from tests.api_kit import Answer, Client
from tests.belongings import Belongings, belongings
from tests.chat_kit import Chat, Person, World
from tests.requests_kit import body

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Operations on what is another's that are for everybody.
FOR_ALL = {
    "get_channel",
    "list_chatters",
    "list_channel_emotes",
    "list_polls",
    "list_public_terms",
    "get_follow",
    "put_follow",
    "delete_follow",
    "my_unban_requests",
    # Who is not banned is told that much.
    "create_unban_request",
    # A clip is made to be shown, whatever becomes of its video.
    "get_clip",
    "get_clip_chat",
    "view_clip",
    # One's own place in a video, of which there is none.
    "delete_position",
}
# Written by others to these tables of an account, by right.
OF_OTHERS = {"follows", "password_resets"}
TUS = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Upload-Length": "10"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
OPERATIONS = operations()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(api: Service, database: Database) -> World:
    """Where accounts are made."""
    return World(database, api.settings)


async def ask(client: Client, operation: Operation, mine: Belongings) -> Answer:
    """What `operation` answers about what is `mine`, asked as it should be."""
    content = body(operation, mine)
    required = (operation.query.model_fields if operation.query else {}).items()
    query = {name: mine.banned.login for name, field in required if field.is_required()}
    path = operation.path if operation.path.startswith("/") else f"/{operation.path}"
    if operation.form_limit is None or content is None:
        headers = PIECE if operation.name == "continue_upload" else TUS
        return await client(
            operation.method, mine.path(path), content, params=query, headers=headers
        )
    form = aiohttp.FormData()
    for name, value in content.items():
        form.add_field(name, value, filename="a.png" if isinstance(value, bytes) else None)
    return await client(operation.method, mine.path(path), data=form, params=query)


def about_another(operation: Operation) -> bool:
    """Whether it is asked about something that belongs to somebody."""
    own = operation.name in FOR_ALL
    return not own and ("{" in operation.path or operation.path.startswith("/admin/"))


async def everything_of(database: Database, person: Person) -> dict[str, list[str]]:
    """Every row of the database that is this account's, as text."""
    found: dict[str, list[str]] = {}
    async with database.session() as session:
        for table in Base.metadata.sorted_tables:
            if table.name in OF_OTHERS:
                continue
            names = {"users": "id", "channels": "id", "suspensions": "user_id"}
            column = names.get(table.name, "channel_id" if "channel_id" in table.c else "user_id")
            if column not in table.c:
                continue
            wanted = [c for c in table.c if (table.name, c.name) != ("channels", "followers")]
            rows = await session.execute(select(*wanted).where(table.c[column] == person.id))
            found[table.name] = sorted(str(tuple(row)) for row in rows)
    return found


Verdict = Callable[[Operation, Answer], bool]


def refused(operation: Operation, answer: Answer) -> bool:
    """A login that may not: it is said so, or nothing is known of it."""
    return not about_another(operation) or answer.status in (403, 404)


def unknown(operation: Operation, answer: Answer) -> bool:
    """No login, where one is needed."""
    if operation.auth is Auth.USER:
        return answer.status == 401
    return not about_another(operation) or answer.status in (401, 403, 404)


def out_of_scope(operation: Operation, answer: Answer) -> bool:
    """A token of a program, for what is no business of programs."""
    if operation.auth is Auth.USER and operation.scope is None:
        return answer.status == 403 and answer.code == "insufficient_scope"
    return not about_another(operation) or answer.status in (401, 403, 404)


async def walk(client: Client, mine: Belongings, fine: Verdict) -> list[str]:
    """Ask every operation: what was told or done that should not have been."""
    wrong = []
    for operation in OPERATIONS:
        answer = await ask(client, operation, mine)
        told = mine.secret in json.dumps(answer.body) or mine.secret in str(answer.headers)
        # What is one's own may need recorder, which is not there.
        failed = answer.status >= 500 and answer.status != 503
        if told or failed or not fine(operation, answer):
            wrong.append(f"{operation.name}: {answer.status} {answer.body}")
    return wrong


async def stranger(world: World, kind: str) -> tuple[str | None, Verdict]:
    """The token of somebody who has no business here, and what becomes of their requests."""
    if kind == "guest":
        return None, unknown
    person = await world.person("stranger", role=Role.CREATOR)
    if kind == "moderator_elsewhere":
        elsewhere = await world.person("elsewhere")
        await world.role(elsewhere, person, "moderator")
    if kind != "program":
        return person.token, refused
    async with world.database.session() as session:
        _, token = await add_token(session, person.id, "bot", list(Scope), None)
    return token.text, out_of_scope


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["guest", "creator", "moderator_elsewhere", "program"])
async def test_what_is_anothers(api: Service, world: World, chat: Chat, kind: str) -> None:
    mine = await belongings(world)
    before = await everything_of(world.database, mine.owner)
    token, fine = await stranger(world, kind)
    client = Client(api)
    client.token = token
    try:
        wrong = await walk(client, mine, fine)
        assert not wrong, "\n".join(wrong)
    finally:
        await client.close()
    assert await everything_of(world.database, mine.owner) == before
