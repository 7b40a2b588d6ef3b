"""Errors as JSON, and whose address counts."""

from __future__ import annotations

import json
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import errors
from core.http import client_address, error_response, network_of, parse_networks, status_of


def test_every_error_has_a_status() -> None:
    kinds = errors.DomainError.__subclasses__()
    statuses = {}
    for kind in kinds:
        error = kind("x", retry_after=1) if kind is errors.RateLimited else kind("x")
        statuses[kind.__name__] = int(status_of(error))
    assert statuses == {
        "Malformed": 400,
        "Unauthorized": 401,
        "Forbidden": 403,
        "NotFound": 404,
        "Conflict": 409,
        "Invalid": 422,
        "RateLimited": 429,
        "Unavailable": 503,
    }


def test_the_form_of_an_error() -> None:
    response = error_response(errors.Invalid("Too long.", code="too_long", field="title"))
    assert json.loads(response.body or b"") == {  # type: ignore[arg-type]
        "error": {"code": "too_long", "message": "Too long.", "field": "title"}
    }
    limited = error_response(errors.RateLimited("Wait.", retry_after=0.2))
    assert limited.headers["Retry-After"] == "1"


def _request(peer: tuple[str, int] | str | None, told: str | None) -> Mock:
    request = Mock()
    request.headers = {} if told is None else {"X-Real-IP": told}
    request.transport.get_extra_info.return_value = peer
    return request


@pytest.mark.parametrize(
    ("peer", "told", "address"),
    [
        ("", "203.0.113.9", "203.0.113.9"),  # the edge, over a unix socket
        ("", " 203.0.113.9 ", "203.0.113.9"),
        ("", "::ffff:203.0.113.9", "203.0.113.9"),
        ("", "2001:db8::1", "2001:db8::1"),
        ("", "somebody", ""),
        ("", None, ""),
        (("198.51.100.1", 5), "203.0.113.9", "198.51.100.1"),
        (("10.1.2.3", 5), "203.0.113.9", "203.0.113.9"),
        (("10.1.2.3", 5), "x", "10.1.2.3"),
        (("::ffff:10.1.2.3", 5), "203.0.113.9", "203.0.113.9"),
    ],
)
def test_only_the_edge_and_trusted_proxies_name_the_client(
    peer: tuple[str, int] | str, told: str | None, address: str
) -> None:
    trusted = parse_networks(["10.0.0.0/8"])
    assert client_address(_request(peer, told), trusted) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", "unknown"),
    ],
)
def test_what_a_limit_counts(address: str, network: str) -> None:
    assert network_of(address) == network


@given(st.text())
def test_any_header_is_survived(text: str) -> None:
    address = client_address(_request("", text), ())
    assert network_of(address)
