"""Cursors: whatever is given back is understood or refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import cursors
from core.errors import Invalid

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
TIMES = st.datetimes(timezones=st.just(UTC))


@given(INT64, TIMES, st.floats(allow_nan=False, allow_infinity=False))
def test_there_and_back(number: int, time: datetime, length: float) -> None:
    name = UUID(int=number % 2**128)
    keys = (time, number, name, length, "Ab_-9")
    cursor = cursors.encode("order", *keys)
    assert cursors.decode(cursor, "order", datetime, int, UUID, float, str) == keys
    assert len(cursor) < 256
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        cursors.decode(text, "order", int)
    assert refused.value.code == "invalid_cursor"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_refused_or_of_the_right_kind(content: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
    try:
        number, time = cursors.decode(cursor, "order", int, datetime)
    except Invalid:
        return
    assert isinstance(number, int) and isinstance(time, datetime)


def test_of_another_list() -> None:
    cursor = cursors.encode("streams:viewers", 5, 6)
    for order, kinds in (
        ("streams:started", (int, int)),
        ("streams:viewers", (int,)),
        ("streams:viewers", (datetime, int)),
        ("streams:viewers", (int, int, int)),
    ):
        with pytest.raises(Invalid):
            cursors.decode(cursor, order, *kinds)


def test_what_postgresql_would_refuse() -> None:
    for value, kind in (
        ("a\0", str),
        ("\ud800", str),
        (1e999, float),
        (True, float),
        (10**400, float),
    ):
        text = json.dumps(["order", value])
        cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        with pytest.raises(Invalid):
            cursors.decode(cursor, "order", kind)


def test_deep_nesting_and_wide_numbers() -> None:
    for text in ("[" * 180, '["order",1e400]', f'["order",{2**63}]', '["order",true]'):
        cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        with pytest.raises(Invalid):
            cursors.decode(cursor, "order", int)
