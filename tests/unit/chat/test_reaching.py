"""How long a decision waits for a Redis that answers none of its steps."""

from __future__ import annotations

import asyncio

import pytest

from chat.reaching import patience, reaching
from core.errors import Unavailable


async def ask_a_frozen_redis(share: float = 1.0) -> None:
    async with reaching(share):
        await asyncio.Event().wait()


async def test_all_steps_wait_together() -> None:
    with patience(0.05):
        with pytest.raises(Unavailable):
            await ask_a_frozen_redis()
        # Nothing is left, not even for a server that would answer.
        with pytest.raises(Unavailable):
            await ask_a_frozen_redis()


async def test_the_first_step_leaves_some_of_it() -> None:
    with patience(0.4):
        with pytest.raises(Unavailable):
            await ask_a_frozen_redis(share=0.5)
        async with reaching():
            await asyncio.sleep(0)


async def test_each_decision_has_its_own() -> None:
    async def decide() -> None:
        with patience(0.01), pytest.raises(Unavailable):
            await ask_a_frozen_redis()

    with patience(3600):
        await asyncio.gather(decide(), decide())
        async with reaching():
            await asyncio.sleep(0)


async def test_the_block_s_own_errors_are_its_own() -> None:
    with patience(3600), pytest.raises(KeyError):
        async with reaching():
            raise KeyError
