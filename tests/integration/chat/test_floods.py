"""Floods of joins: held back by address, and the socket is closed when the queue is too long."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.hub import JOINS, TRY_AGAIN_LATER
from core.settings import Settings
from tests.chat_kit import World, chat_settings, running_chat


async def test_who_enters_rooms_too_fast_is_closed(
    settings: Settings, world: World, socket_folder: Path
) -> None:
    changed = chat_settings(settings, socket_folder, irc_listen="", rate_limit_factor=2 / JOINS)
    channel = await world.person("owner")
    async with running_chat(changed) as chat:
        client = await chat.client()
        for _ in range(2):
            await client.join(channel)
        await client.send("join", channel=channel.login)
        async with asyncio.timeout(10):
            await client.connection.wait_closed()
        assert client.connection.close_code == TRY_AGAIN_LATER
        refused = chat.service.metrics.registry.get_sample_value(
            "footlight_chat_refused_total", {"code": "too_many_joins"}
        )
        assert refused == 1
