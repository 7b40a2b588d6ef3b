"""The OpenAPI 3.1 document, made from the same declarations as the routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.operations import PATH_FORMS, PREFIX, Auth, ErrorBody, Operation
from core.settings import Settings
from core.version import RELEASE

Document = dict[str, Any]

_REF = "#/components/schemas/{model}"
_PATH_PARAMETERS: dict[str, Document] = {
    "id": {"type": "string", "pattern": "^[0-9]{1,19}$"},
    "login": {"type": "string", "examples": ["alice"]},
    "user": {"type": "string", "examples": ["bob"]},
    "message": {"type": "string", "format": "uuid"},
    "upload": {"type": "string", "format": "uuid"},
    "clip": {"type": "string", "pattern": "^[A-Za-z0-9_-]{11}$"},
}
_ANYBODY: Sequence[Document] = ()
_USER: Sequence[Document] = ({"bearer": []}, {"cookie": [], "csrf": []})

_DESCRIPTION = """\
JSON in snake_case; ids are strings; times are RFC 3339 in UTC. Lists answer `{"items": […], "next_cursor": …}`: give \
`next_cursor` back as `cursor` until it is null. Every error is `{"error": {"code", "message", "field"?, \
"retry_after"?}}`; decide by `code`, which never changes. Unknown fields and parameters are refused.

Send an access token as `Authorization: Bearer …` and renew it with the refresh token before it is over. Browsers log \
in with `"session": "cookie"` instead: requests other than GET then need the cookie `footlight_csrf` repeated in the \
header `X-CSRF-Token`. Programs that act for somebody in chat send an app token (`flat_…`) as the bearer token, to the \
operations that say which scope it needs."""


def title_of(instance_name: str) -> str:
    """What the document is called on a site of this name."""
    return f"{instance_name} API"


def document(operations: Sequence[Operation], settings: Settings) -> Document:
    """The whole document."""
    schemas, definitions = _schemas(operations)
    paths: dict[str, Document] = {}
    for operation in operations:
        item = paths.setdefault(PREFIX + operation.path, {})
        item[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title_of(settings.instance_name),
            "version": RELEASE,
            "description": _DESCRIPTION,
        },
        "servers": [{"url": settings.public_url}],
        "tags": [{"name": tag} for tag in dict.fromkeys(o.tag for o in operations)],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "footlight_access"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
                "app_token": {"type": "http", "scheme": "bearer", "bearerFormat": "flat_…"},
            },
        },
    }


def _models(operations: Iterable[Operation]) -> list[tuple[type[BaseModel], JsonSchemaMode]]:
    found: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ErrorBody, "serialization"): None}
    for operation in operations:
        if operation.body is not None:
            found[(operation.body, "validation")] = None
        if operation.answer is not None:
            found[(operation.answer, "serialization")] = None
    return list(found)


def _schemas(
    operations: Sequence[Operation],
) -> tuple[dict[Any, Document], Document]:
    by_mode, definitions = models_json_schema(_models(operations), ref_template=_REF)
    return {model: schema for (model, _), schema in by_mode.items()}, definitions["$defs"]


def _operation(operation: Operation, schemas: dict[Any, Document]) -> Document:
    content: Document = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": _joined(operation.description),
        "security": _security(operation),
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": _responses(operation, schemas),
    }
    if operation.body is not None:
        kind = "application/json" if operation.form_limit is None else "multipart/form-data"
        content["requestBody"] = {
            "required": not operation.body_optional,
            "content": {kind: {"schema": schemas[operation.body]}},
        }
    return content


def _security(operation: Operation) -> list[Document]:
    if operation.auth is Auth.ANYONE:
        return list(_ANYBODY)
    if operation.auth is Auth.OPTIONAL:
        return [{}, *_USER]
    if operation.scope is None:
        return list(_USER)
    return [*_USER, {"app_token": [str(operation.scope)]}]


def _joined(docstring: str) -> str:
    paragraphs = re.split(r"\n\s*\n", docstring)
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _path_parameters(operation: Operation) -> list[Document]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETERS[name]}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]


def _query_parameters(operation: Operation) -> list[Document]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": field.get("description", ""),
            "schema": {
                k: _inlined(v, definitions)
                for k, v in field.items()
                if k not in ("description", "title")
            },
        }
        for name, field in schema["properties"].items()
    ]


def _inlined(schema: Any, definitions: Document) -> Any:
    """`schema` with what it refers to in place: a parameter's schema stands outside of its document."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if (reference := schema.get("$ref")) is not None:
        return _inlined(definitions[reference.removeprefix("#/$defs/")], definitions)
    return {key: _inlined(part, definitions) for key, part in schema.items()}


def errors_of(operation: Operation) -> dict[HTTPStatus, list[str]]:
    """Every error code of `operation` by status: its own, and those that follow from what it takes."""
    errors: dict[HTTPStatus, list[str]] = {}

    def add(status: HTTPStatus, *codes: str) -> None:
        known = errors.setdefault(status, [])
        known.extend(code for code in codes if code not in known)

    if operation.body is not None:
        broken = "invalid_json" if operation.form_limit is None else "invalid_form"
        add(HTTPStatus.BAD_REQUEST, broken)
        add(HTTPStatus.REQUEST_TIMEOUT, "request_timeout")
        add(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large")
        add(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
        words = ("too_short", "too_long", "too_many", "invalid_character")
        add(HTTPStatus.UNPROCESSABLE_ENTITY, *words)
    if operation.body is not None or operation.query is not None:
        add(HTTPStatus.UNPROCESSABLE_ENTITY, "field_missing", "unknown_field", "invalid_field")
    if operation.query is not None and _takes_text(operation.query):
        add(HTTPStatus.UNPROCESSABLE_ENTITY, "too_short", "too_long", "invalid_character")
    if operation.query is not None and "cursor" in operation.query.model_fields:
        add(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_cursor")
    if operation.auth is not Auth.ANYONE:
        if operation.auth is Auth.USER:
            add(HTTPStatus.UNAUTHORIZED, "not_logged_in")
            add(HTTPStatus.FORBIDDEN, "insufficient_scope")
        add(HTTPStatus.UNAUTHORIZED, "invalid_token", "token_expired", "login_ended")
        if operation.method != "GET":
            add(HTTPStatus.FORBIDDEN, "csrf_failed", "cross_site")
            if not operation.while_suspended:
                add(HTTPStatus.FORBIDDEN, "account_suspended")
    if any(f"{{{name}}}" in operation.path for name in PATH_FORMS):
        add(HTTPStatus.NOT_FOUND, "not_found")
    if operation.path.startswith("/channels/{login}"):
        add(HTTPStatus.NOT_FOUND, "channel_not_found")
    for status, codes in operation.errors.items():
        add(status, *codes)
    # The edge's limits, whatever is asked: for the request, and for an address.
    add(HTTPStatus.REQUEST_URI_TOO_LONG, "address_too_long")
    add(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "header_too_long")
    add(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited")
    add(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
    return dict(sorted(errors.items()))


def _takes_text(query: type[BaseModel]) -> bool:
    fields = query.model_json_schema()["properties"]
    kinds = (
        kind
        for name, field in fields.items()
        if name != "cursor"
        for kind in field.get("anyOf", [field])
    )
    return any(kind.get("type") == "string" and "enum" not in kind for kind in kinds)


def _responses(operation: Operation, schemas: dict[Any, Document]) -> Document:
    success: Document = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        success["content"] = {"application/json": {"schema": schemas[operation.answer]}}
    responses: Document = {str(operation.status): success}
    for status, codes in errors_of(operation).items():
        response: Document = {
            "description": ", ".join(f"`{code}`" for code in codes),
            "content": {"application/json": {"schema": schemas[ErrorBody]}},
        }
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            response["headers"] = {
                "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
            }
        responses[str(int(status))] = response
    return responses
