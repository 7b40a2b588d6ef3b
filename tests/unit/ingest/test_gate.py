"""Guessing stream keys: past some from one address no key is looked at any more."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from core.db.engine import Database
from core.instance_settings import CurrentSettings
from core.settings import Settings
from ingest.gate import GUESSES, Gate, Rejected


async def refusal(gate: Gate, address: str) -> str:
    with pytest.raises(Rejected) as refused:
        # Not even the form of a key: the database is not asked.
        await gate.check("stream", address)
    return refused.value.code


async def test_guesses_are_counted_by_address() -> None:
    settings = Settings(secret_key=SecretStr("k" * 32))
    gate = Gate(Database.__new__(Database), b"pepper", CurrentSettings(settings))
    told = [await refusal(gate, "2001:db8:0:1::1") for _ in range(GUESSES + 2)]
    assert told == ["unknown_key"] * GUESSES + ["too_many_guesses"] * 2
    # A household has a whole /64.
    assert await refusal(gate, "2001:db8:0:1:ffff::2") == "too_many_guesses"
    assert await refusal(gate, "2001:db8:0:2::1") == "unknown_key"
    assert await refusal(gate, "192.0.2.1") == "unknown_key"
