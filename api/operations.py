"""How an operation of the REST API is declared: once, for the route and for the OpenAPI document
alike.

    @operations.post("/me/stream-keys", "Make a stream key", body=NewKey, answer=MadeKey, status=201)
    async def create_key(call: Call[NewKey, None]) -> MadeKey: ...

The declaration says what comes in, what goes out, who may ask and which errors there are.
`handler_of` turns it into an aiohttp handler that parses, authenticates, calls, and serialises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.access import Actor
from core.app_tokens import Scope
from core.errors import DomainError, Invalid, Malformed, NotFound

if TYPE_CHECKING:
    from api.app import Api

BodyT = TypeVar("BodyT", bound=BaseModel | None, covariant=True)
QueryT = TypeVar("QueryT", bound=BaseModel | None, covariant=True)

PREFIX = "/api/v1"
# What may stand in a path's parameters; a path with something else is none of ours. Names of accounts
# may be anything, so that a wrong one is answered as an unknown one.
PATH_FORMS = {
    "id": "[0-9]{1,19}",
    "message": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "clip": "[A-Za-z0-9_-]{11}",
    "upload": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
}
# A body of a few kilobytes that takes longer is held back on purpose.
BODY_TIMEOUT_S = 10.0
# An upload may come over a slow line.
FORM_TIMEOUT_S = 60.0
# What a form's fields and boundaries may take beside its file, bytes.
FORM_OVERHEAD = 8 * 1024


class Model(BaseModel):
    """Base of everything that goes out."""

    model_config = ConfigDict(frozen=True)


class Input(BaseModel):
    """Base of everything that comes in: unknown fields are refused, numbers and booleans are not
    guessed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Query(BaseModel):
    """Base of query parameters; unknown ones are refused, so that a misspelt filter is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Page(Query):
    """Which part of a list."""

    limit: int = Field(default=20, ge=1, le=100, description="Most items in the answer.")
    cursor: str | None = Field(
        default=None, max_length=256, description="`next_cursor` of the page before."
    )


class ErrorDetail(Model):
    """Why a request was refused."""

    code: str = Field(description="Stable; decide by it.")
    message: str = Field(description="For people; may change.")
    field: str | None = Field(default=None, description="The part of the request that is wrong.")
    retry_after: float | None = Field(default=None, description="Seconds to wait.")


class ErrorBody(Model):
    """The body of every answer from 400 up."""

    error: ErrorDetail


class Auth(Enum):
    """Who may ask."""

    ANYONE = "anyone"
    # Anyone, but whoever is logged in may be answered more.
    OPTIONAL = "optional"
    USER = "user"


@dataclass(frozen=True)
class Call(Generic[BodyT, QueryT]):
    """One request, parsed. `actor` is there when the operation asks for a user; `maybe_actor` also
    where it is only glad of one.
    """

    api: Api
    request: web.Request
    body: BodyT
    query: QueryT
    path: Mapping[str, str]
    address: str
    maybe_actor: Actor | None

    @property
    def actor(self) -> Actor:
        """Who asks; only in operations that need a user."""
        if self.maybe_actor is None:
            raise RuntimeError("the operation does not ask for a user")
        return self.maybe_actor

    def id(self, name: str = "id") -> int:
        """The id in the path. Raises NotFound for one that no row can have."""
        number = int(self.path[name])
        if number >= 2**63:
            raise NotFound("There is nothing with this id.")
        return number


@dataclass(frozen=True)
class Reply:
    """An answer that needs more than a body: cookies, headers."""

    content: Model | None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Callable[[web.Response], None] | None = None


AnyCall = Call[Any, Any]
# A response as it is: for protocols that say more in headers and statuses than our own answers do.
Work = Callable[[Any], Awaitable[Model | Reply | web.StreamResponse | None]]


@dataclass(frozen=True)
class Operation:
    """One declared operation.

    `errors` names the codes it answers beyond those that every operation has. `scope` is what an app
    token needs for it; None: it takes no app token. `while_suspended`: a suspended account may do
    this, too (reading it always may). `form_limit` is for a body that is a form with a file: how
    many bytes the file may have.
    """

    method: str
    path: str
    summary: str
    tag: str
    work: Work
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    answer: type[Model] | None
    status: int
    auth: Auth
    errors: Mapping[HTTPStatus, tuple[str, ...]]
    body_optional: bool
    scope: Scope | None
    while_suspended: bool
    form_limit: int | None

    @property
    def name(self) -> str:
        """Unique name, used as OpenAPI's operationId."""
        return self.work.__name__

    @property
    def description(self) -> str:
        """The handler's docstring."""
        return (self.work.__doc__ or "").strip()


class Operations:
    """The operations of one area. `scope` is what app tokens need for all of them."""

    def __init__(self, tag: str, *, scope: Scope | None = None) -> None:
        self.tag = tag
        self._scope = scope
        self.declared: list[Operation] = []

    def declare(
        self,
        method: str,
        path: str,
        summary: str,
        *,
        body: type[BaseModel] | None = None,
        query: type[BaseModel] | None = None,
        answer: type[Model] | None = None,
        status: int | None = None,
        auth: Auth = Auth.USER,
        errors: Mapping[HTTPStatus, tuple[str, ...]] | None = None,
        body_optional: bool = False,
        scope: Scope | None = None,
        while_suspended: bool = False,
        form_limit: int | None = None,
    ) -> Callable[[Work], Work]:
        """Declare the decorated coroutine function as an operation. Without `answer` it is 204."""

        def add(work: Work) -> Work:
            code = status or (HTTPStatus.OK if answer is not None else HTTPStatus.NO_CONTENT)
            self.declared.append(
                Operation(
                    method,
                    path,
                    summary,
                    self.tag,
                    work,
                    body,
                    query,
                    answer,
                    int(code),
                    auth,
                    errors or {},
                    body_optional,
                    scope or self._scope,
                    while_suspended,
                    form_limit,
                )
            )
            return work

        return add

    def get(self, path: str, summary: str, **options: Any) -> Callable[[Work], Work]:
        """Declare a GET."""
        return self.declare("GET", path, summary, **options)

    def post(self, path: str, summary: str, **options: Any) -> Callable[[Work], Work]:
        """Declare a POST."""
        return self.declare("POST", path, summary, **options)

    def put(self, path: str, summary: str, **options: Any) -> Callable[[Work], Work]:
        """Declare a PUT."""
        return self.declare("PUT", path, summary, **options)

    def patch(self, path: str, summary: str, **options: Any) -> Callable[[Work], Work]:
        """Declare a PATCH."""
        return self.declare("PATCH", path, summary, **options)

    def delete(self, path: str, summary: str, **options: Any) -> Callable[[Work], Work]:
        """Declare a DELETE."""
        return self.declare("DELETE", path, summary, **options)


def handler_of(operation: Operation, api: Api) -> Handler:
    """The aiohttp handler that serves `operation`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        actor = None
        if operation.auth is Auth.USER:
            actor = await api.authentication.require(
                request, scope=operation.scope, while_suspended=operation.while_suspended
            )
        elif operation.auth is Auth.OPTIONAL:
            actor = await api.authentication.recognise(
                request, while_suspended=operation.while_suspended
            )
        query = _parse_query(operation, request)
        body = await _parse_body(operation, request)
        call = Call(
            api, request, body, query, request.match_info, api.client_address(request), actor
        )
        result = await operation.work(call)
        if isinstance(result, web.StreamResponse):
            return result
        reply = result if isinstance(result, Reply) else Reply(result)
        return _respond(operation, reply)

    return handle


def _respond(operation: Operation, reply: Reply) -> web.Response:
    response = web.Response(status=operation.status, headers=dict(reply.headers))
    if reply.content is not None:
        response.content_type = "application/json"
        response.charset = "utf-8"
        response.body = reply.content.model_dump_json().encode()
    if reply.cookies is not None:
        reply.cookies(response)
    return response


def _parse_query(operation: Operation, request: web.Request) -> BaseModel | None:
    if operation.query is None:
        return None
    values = request.query
    repeated = {name for name in values if len(values.getall(name)) > 1}
    if repeated:
        name = min(repeated)
        raise Invalid("This parameter is given twice.", code="invalid_field", field=name)
    try:
        return operation.query.model_validate(dict(values))
    except ValidationError as error:
        raise invalid(error) from error


async def _parse_body(operation: Operation, request: web.Request) -> BaseModel | None:
    if operation.body is None:
        return None
    if operation.form_limit is not None:
        return await _parse_form(operation.body, request, operation.form_limit)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            raw = await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    if not raw and operation.body_optional:
        raw = b"{}"
    # A form of another site can send neither this type nor, because of it, a body that we would
    # read.
    elif request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        return operation.body.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error) from error


async def _parse_form(body: type[BaseModel], request: web.Request, limit: int) -> BaseModel:
    """A form with one file, never more than `limit` and some bytes of it in memory."""
    if request.content_type != "multipart/form-data":
        raise web.HTTPUnsupportedMediaType
    try:
        async with asyncio.timeout(FORM_TIMEOUT_S):
            values = await _read_form(body, request, limit + FORM_OVERHEAD)
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except (ValueError, AssertionError, HttpProcessingError) as error:
        # What aiohttp's reader says to a broken one; the last is about a part's headers.
        raise Malformed("The body is not a valid form.", code="invalid_form") from error
    try:
        return body.model_validate(values)
    except ValidationError as error:
        raise invalid(error) from error


async def _read_form(
    body: type[BaseModel], request: web.Request, limit: int
) -> dict[str, str | bytes]:
    values: dict[str, str | bytes] = {}
    left = limit
    if (request.content_length or 0) > left:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise ValueError("a part that is no field")
        content = bytearray()
        while chunk := await part.read_chunk():
            content += chunk
            left -= len(chunk)
            if left < 0:
                raise web.HTTPRequestEntityTooLarge(limit, limit - left)
        if part.name in values:
            raise Invalid("This field is given twice.", code="invalid_field", field=part.name)
        known = body.model_fields.get(part.name)
        is_file = known is not None and known.annotation is bytes
        values[part.name] = bytes(content) if is_file else content.decode()
    return values


_CODES = {
    "missing": ("field_missing", "This is missing."),
    "extra_forbidden": ("unknown_field", "There is no such field."),
    "string_too_long": ("too_long", None),
    "string_too_short": ("too_short", None),
    "bytes_too_long": ("too_long", None),
    "bytes_too_short": ("too_short", None),
    "too_long": ("too_many", None),
}


def invalid(error: ValidationError) -> DomainError:
    """The first thing that pydantic found wrong, without the value that was wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or None
    if first["type"] == "json_invalid":
        return Malformed("The body is not valid JSON.", code="invalid_json")
    code, message = _CODES.get(first["type"], ("invalid_field", None))
    return Invalid(message or f"{first['msg']}.", code=code, field=name)
