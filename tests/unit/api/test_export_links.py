"""The link of an e-mail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.exports.links import sign, verify

KEY = bytes(32)
NOW = datetime(2027, 1, 1, tzinfo=UTC)
UNTIL = int((NOW + timedelta(days=1)).timestamp())


def test_it_is_for_one_export_of_one_account_until_its_end() -> None:
    link = sign(KEY, 5, 7, UNTIL)
    assert verify(KEY, link, 5, 7, NOW)
    assert not verify(KEY, link, 6, 7, NOW)
    assert not verify(KEY, link, 5, 8, NOW)
    assert not verify(bytes(31) + b"1", link, 5, 7, NOW)
    assert not verify(KEY, link, 5, 7, NOW + timedelta(days=1))


@pytest.mark.parametrize("link", ["", ".", "x.y", "١.a", "9" * 30 + ".a", f"{UNTIL}.é"])
def test_anything_else_is_refused(link: str) -> None:
    assert not verify(KEY, link, 5, 7, NOW)


def test_its_end_cannot_be_moved() -> None:
    _, _, signature = sign(KEY, 5, 7, UNTIL).partition(".")
    assert not verify(KEY, f"{UNTIL + 86400}.{signature}", 5, 7, NOW)
