"""What the chat service is made of."""

from __future__ import annotations

from functools import partial
from operator import itemgetter

from chat import (
    barring,
    gateway,
    irc_gateway,
    irc_tcp,
    json_gateway,
    messages,
    modes,
    polls,
    raids,
    reactions,
    replayed,
    standings,
)
from chat.decisions import Desk
from chat.history import History
from chat.hub import Hub
from chat.metrics import ChatMetrics
from chat.people import People
from chat.presence import Presence
from chat.registry import Rooms
from chat.reload import Reload
from chat.replays import HANDLED as REPLAYED
from chat.replays import Replays
from chat.rooms import Room
from chat.store import Store
from chat.typed import Typed
from chat.watch import Watch
from core.bus import open_bus
from core.cache import check_redis, open_redis
from core.db.engine import open_database
from core.events import CHAT_DECIDE
from core.http import make_app
from core.instance_settings import follow
from core.outbox import relay
from core.service import Service
from core.tokens import Tokens

# Each declares operations (chat.decisions).
AREAS = (barring, messages, modes, polls, raids, replayed, standings)
# Clients that are told to come back do so after a time of their own choosing up to this, seconds.
RETRY_AFTER_S = 5


async def build(service: Service) -> None:
    """Construct the service and start everything it runs."""
    settings = service.settings
    metrics = ChatMetrics(service.metrics)
    database = await service.enter(open_database(settings))
    service.metrics.watch_pool(database.in_use, settings.database_pool_size)
    redis = await service.enter(open_redis(settings))
    bus = await service.enter(open_bus(settings))
    current = await follow(service, database, bus)
    store = Store(redis)
    reload = Reload(store, database, metrics)
    rooms = Rooms(redis, database, reload, settings, current, metrics)
    people = People(database, Tokens(database, settings))
    hub = Hub(rooms, store, reload, database, people, settings, metrics)
    history = History(store, database, settings, current, metrics)
    hub.dirty = history.dirty
    desk = Desk(database, store, reload, rooms, history, settings, current, metrics)
    hub.typed, hub.decide = Typed(desk).obey, desk.decide
    hub.hold = partial(messages.hold, desk)
    hub.voted = partial(polls.voted, desk)
    presence = Presence(store, rooms)
    watch = Watch(desk)
    hub.joins = watch.joined
    reacting = reactions.Reactions(hub, desk)
    rooms.on_control = reacting.take
    rooms.on_open = partial(_what_is_under_way, desk)
    sockets = gateway.Gateway(
        [json_gateway.entrance(hub, settings), *irc_gateway.entrances(hub)],
        settings.chat_buffer_bytes,
        metrics,
    )
    irc_sockets = irc_tcp.IrcSockets(hub, sockets, settings)
    service.check("postgres", database.check)
    service.check("redis", lambda: check_redis(redis))

    service.spawn(store.turnstile.run(), "turnstile")
    service.spawn(rooms.listen(), "listen")
    service.spawn(rooms.catch_up(), "catch-up")
    service.spawn(rooms.close_idle(), "close-idle")
    service.spawn(sockets.sweep(), "sweep")
    service.spawn(irc_sockets.sweep(), "irc-sweep")
    service.spawn(history.run(), "history")
    service.spawn(history.keep_partitions(), "partitions")
    service.spawn(relay(database, bus, settings), "outbox")
    service.spawn(reacting.run(), "reactions")
    service.spawn(reactions.keep_time(desk), "clock")
    service.spawn(presence.run(), "presence")
    service.spawn(watch.run(), "watch")
    replays = Replays(database, store, history)
    service.spawn(replays.run(), "replays")
    # Beside the other events: what waits for a database here holds none of them up.
    service.spawn(bus.consume("chat-replays", REPLAYED, replays.happened), "replay-events")
    happened = reactions.on_event(store, watch)
    service.spawn(bus.consume("chat", reactions.HANDLED, happened), "events")
    # A channel's decisions keep their order; a slow one holds up no other channel.
    await bus.respond(CHAT_DECIDE, desk.decide, queue="chat", lane=itemgetter("channel_id"))
    http = make_app(service)
    irc_gateway.add_validate(http, people)
    await service.listen(http, settings.chat_listen)
    await service.enter(
        gateway.listen(lambda: gateway.WebSocket(sockets), settings.chat_socket_listen)
    )

    await service.enter(irc_tcp.listen(irc_sockets, settings))

    async def say_goodbye() -> None:
        for session in list(hub.sessions):
            session.connection.write(session.dialect.goodbye(RETRY_AFTER_S))
        await presence.leave()
        await irc_sockets.close(settings.drain_s / 2)
        await sockets.close(1012, settings.drain_s / 2)

    service.on_stop(say_goodbye)


async def _what_is_under_way(desk: Desk, room: Room) -> None:
    poll = await polls.running(desk, room.id)
    room.poll = None if poll is None else polls.view(poll)
    room.raid = await raids.pending(desk, room.channel)
