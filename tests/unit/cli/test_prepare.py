"""`footlight prepare`: what it waits for, and what ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from botocore.exceptions import ClientError

from cli.prepare import answered
from core.errors import Unavailable
from core.version import require


def refusal(status: int) -> ClientError:
    return ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "HeadBucket")  # type: ignore[typeddict-item]


def asked(*causes: Exception) -> tuple[Callable[[], Awaitable[None]], list[Exception]]:
    """A server that is unavailable for each of the causes in turn, and then answers; and what is left."""
    left = list(causes)

    async def ask() -> None:
        if left:
            raise Unavailable("It does not answer.") from left.pop(0)

    return ask, left


async def test_servers_that_are_on_their_way_up_are_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ask, left = asked(ConnectionRefusedError(), refusal(503), FileNotFoundError())
    await answered(ask, again_s=0)
    assert not left
    # Once, not every second of a night.
    assert capsys.readouterr().err == "footlight: It does not answer. Waiting.\n"


async def test_wrong_keys_are_not_waited_for() -> None:
    ask, left = asked(ConnectionRefusedError(), refusal(403), ConnectionRefusedError())
    with pytest.raises(Unavailable):
        await answered(ask, again_s=0)
    assert len(left) == 1


async def test_a_server_that_is_too_old_is_not_waited_for() -> None:
    async def ask() -> None:
        require("PostgreSQL", "13.4", 15)

    with pytest.raises(Unavailable, match="is too old: 15 or newer"):
        await answered(ask, again_s=0)
