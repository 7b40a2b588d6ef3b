"""What the chat service is made of."""

from __future__ import annotations

import asyncio

from chat import gateway, json_gateway
from chat.history import History
from chat.hub import Hub
from chat.metrics import ChatMetrics
from chat.people import People
from chat.registry import Rooms
from chat.reload import Reload
from chat.store import Store
from core.bus import open_bus
from core.cache import check_redis, open_redis
from core.db.engine import open_database
from core.http import make_app
from core.outbox import relay
from core.service import Service
from core.tokens import Tokens

# Clients that are told to come back do so after a time of their own choosing up to this, seconds.
RETRY_AFTER_S = 5


async def build(service: Service) -> None:
    """Construct the service and start everything it runs."""
    settings = service.settings
    metrics = ChatMetrics(service.metrics)
    database = await service.enter(open_database(settings))
    redis = await service.enter(open_redis(settings))
    bus = await service.enter(open_bus(settings))
    store = Store(redis)
    reload = Reload(store, database, metrics)
    rooms = Rooms(redis, database, reload, settings, metrics)
    people = People(database, Tokens(database, settings))
    hub = Hub(rooms, store, reload, database, people, settings, metrics)
    history = History(store, database, settings, metrics)
    hub.dirty = history.dirty
    sockets = gateway.Gateway(
        [json_gateway.entrance(hub, settings)], settings.chat_buffer_bytes, metrics
    )
    service.check("postgres", database.check)
    service.check("redis", lambda: check_redis(redis))

    service.spawn(rooms.listen(), "listen")
    service.spawn(rooms.catch_up(), "catch-up")
    service.spawn(rooms.close_idle(), "close-idle")
    service.spawn(sockets.sweep(), "sweep")
    service.spawn(history.run(), "history")
    service.spawn(history.keep_partitions(), "partitions")
    service.spawn(relay(database, bus, settings), "outbox")
    await service.listen(make_app(service), settings.chat_listen)
    await service.enter(
        gateway.listen(lambda: gateway.WebSocket(sockets), settings.chat_socket_listen)
    )

    async def say_goodbye() -> None:
        for session in list(hub.sessions):
            session.send({"type": "shutdown", "retry_after": RETRY_AFTER_S})
        await asyncio.sleep(0)
        await sockets.close(1012, settings.drain_s)

    service.on_stop(say_goodbye)
