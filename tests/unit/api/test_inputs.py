"""Bodies and queries: any JSON and any query string is taken or refused, never an accident."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from api.app import operations
from api.operations import Input, Query, invalid
from core.errors import DomainError, Invalid, Malformed

BODIES = sorted({o.body for o in operations() if o.body is not None}, key=lambda m: m.__name__)
QUERIES = sorted({o.query for o in operations() if o.query is not None}, key=lambda m: m.__name__)
#: Of each of a hundred models: together they are thousands, and the fuzz tests of the API send more.
FEW = settings(max_examples=30, deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


def _taken(model: type[BaseModel], text: bytes) -> BaseModel | None:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        refusal = invalid(error)
        assert isinstance(refusal, Invalid | Malformed)
        assert refusal.code and refusal.message
    except DomainError as error:
        assert isinstance(error, Invalid)
    return None


@pytest.mark.parametrize("model", BODIES)
@FEW
@given(data=st.data())
def test_any_json(model: type[BaseModel], data: st.DataObject) -> None:
    known = st.dictionaries(st.sampled_from(sorted(model.model_fields)), JSON)
    content = data.draw(JSON | known)
    _taken(model, json.dumps(content).encode())


@pytest.mark.parametrize("model", BODIES)
@FEW
@given(raw=st.binary(max_size=200))
def test_any_bytes(model: type[BaseModel], raw: bytes) -> None:
    _taken(model, raw)


@pytest.mark.parametrize("model", QUERIES)
@FEW
@given(data=st.data())
def test_any_query(model: type[BaseModel], data: st.DataObject) -> None:
    values = st.dictionaries(st.sampled_from(sorted(model.model_fields)), st.text(max_size=300))
    try:
        model.model_validate(data.draw(values))
    except ValidationError as error:
        assert isinstance(invalid(error), Invalid)
    except Invalid as error:
        assert error.field in model.model_fields


@pytest.mark.parametrize("model", [*BODIES, *QUERIES])
def test_unknown_fields_are_refused(model: type[BaseModel]) -> None:
    assert issubclass(model, Input | Query)
    assert model.model_config["extra"] == "forbid"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"null", "invalid_field"),
        (b"[]", "invalid_field"),
        (b'{"name": "\xff"}', "invalid_json"),
        (b'{"name": "\\ud800"}', "invalid_json"),
        (b"[" * 5000, "invalid_json"),
        (b'{"name": 1}', "invalid_field"),
        (b'{"name": "a", "more": 1}', "unknown_field"),
        (b"{}", "field_missing"),
    ],
)
def test_codes(text: bytes, code: str) -> None:
    from api.channels.schemas import KeyBody

    with pytest.raises(ValidationError) as wrong:
        KeyBody.model_validate_json(text)
    assert invalid(wrong.value).code == code


def test_messages_do_not_repeat_what_was_sent() -> None:
    from api.accounts.schemas import LoginBody

    content: dict[str, Any] = {"login": "ann", "password": ["canary"]}
    with pytest.raises(ValidationError) as wrong:
        LoginBody.model_validate_json(json.dumps(content))
    assert "canary" not in f"{wrong.value} {invalid(wrong.value).message}"
