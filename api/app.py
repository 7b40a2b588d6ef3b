"""Wiring: the one place where the parts of `api` are made and put together."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler
from redis.asyncio import Redis

from api import documentation, housekeeping, instance
from api.accounts import routes as accounts
from api.accounts.passwords import Passwords, open_passwords
from api.admin import overview
from api.admin import routes as admin
from api.admin import settings as instance_settings
from api.app_tokens import routes as app_tokens
from api.authentication import Authentication
from api.channels import keys
from api.channels import routes as channels
from api.chat import polls, room
from api.clips import routes as clips
from api.emotes import routes as emotes
from api.emotes.emotes import install_global_set
from api.emotes.images import Renderer, open_renderer
from api.exports import letters as export_letters
from api.exports import routes as exports
from api.follows import routes as follows
from api.mail import Mailer, open_mailer
from api.moderation import routes as moderation
from api.operations import PATH_FORMS, PREFIX, Operation, handler_of
from api.probes import ready_check
from api.reports import routes as reports
from api.streams import routes as streams
from api.suspensions import routes as suspensions
from api.uploads import routes as uploads
from api.uploads.chunks import Receiving
from api.uploads.sweep import Sweep
from api.videos import routes as videos
from api.videos.addresses import AddressBook
from api.viewings import Viewings
from api.watching import watch_backups
from core.bus import Bus, open_bus
from core.cache import check_redis, open_redis
from core.db.engine import Database, open_database
from core.derived import Purpose, derive
from core.events import Event, JobDone, StreamKeyUsed
from core.http import IPNetwork, client_address, make_app, parse_networks
from core.instance_settings import CurrentSettings, follow
from core.limits import Limiter
from core.outbox import relay
from core.outbox import watch as watch_outbox
from core.service import Service
from core.settings import Settings
from core.storage import Storage, open_storage
from core.tokens import Tokens

AREAS = (
    instance.instance,
    accounts.auth,
    accounts.me,
    channels.channels,
    channels.stream_keys,
    streams.streams,
    videos.videos,
    uploads.uploads,
    exports.exports,
    clips.clips,
    follows.follows,
    emotes.emotes,
    room.chat,
    polls.polls,
    moderation.moderation,
    moderation.unban_requests,
    app_tokens.app_tokens,
    suspensions.own,
    suspensions.suspensions,
    reports.reports,
    admin.admin,
    overview.overview,
    instance_settings.settings,
)


@dataclass(frozen=True)
class Api:
    """What operations work with."""

    settings: Settings
    readiness: Callable[[], Awaitable[dict[str, bool]]]
    redis: Redis
    current: CurrentSettings
    database: Database
    bus: Bus
    limiter: Limiter
    tokens: Tokens
    authentication: Authentication
    passwords: Passwords
    mailer: Mailer
    storage: Storage
    renderer: Renderer
    viewings: Viewings
    addresses: AddressBook
    pepper: bytes
    export_key: bytes
    receiving: Receiving
    trusted_proxies: tuple[IPNetwork, ...]

    def client_address(self, request: web.Request) -> str:
        """The client's address, as far as proxies that we trust tell."""
        return client_address(request, self.trusted_proxies)

    def limit_subject(self, name: str) -> str:
        """`name`, which may be anything, as a short key: Redis need not hold addresses of people."""
        return hashlib.blake2b(name.encode(), key=self.pepper, digest_size=12).hexdigest()


def operations() -> list[Operation]:
    """Every operation of the API."""
    return [operation for area in AREAS for operation in area.declared]


async def build(service: Service) -> None:
    """Make the whole service."""
    settings = service.settings
    database = await service.enter(open_database(settings))
    service.metrics.watch_pool(database.in_use, settings.database_pool_size)
    redis = await service.enter(open_redis(settings))
    bus = await service.enter(open_bus(settings))
    storage = await service.enter(open_storage(settings))
    current = await follow(service, database, bus)
    mailer = await service.enter(open_mailer(settings, current, service.metrics))
    tokens = Tokens(database, settings)
    passwords = await service.enter(open_passwords())
    renderer = await service.enter(open_renderer())
    viewings = Viewings(redis, bus)
    api = Api(
        settings=settings,
        readiness=service.readiness,
        redis=redis,
        current=current,
        database=database,
        bus=bus,
        limiter=Limiter(redis, settings.rate_limit_factor),
        tokens=tokens,
        authentication=Authentication(database, tokens, settings),
        passwords=passwords,
        mailer=mailer,
        storage=storage,
        renderer=renderer,
        viewings=viewings,
        addresses=AddressBook(derive(settings, Purpose.MEDIA_TOKENS), settings.playback_token_s),
        pepper=derive(settings, Purpose.STREAM_KEY_PEPPER),
        export_key=derive(settings, Purpose.EXPORT_LINK),
        receiving=Receiving(),
        trusted_proxies=parse_networks(settings.trusted_proxies),
    )
    service.check("postgres", database.check)
    service.check("redis", lambda: check_redis(redis))
    service.check("nats", bus.check)
    service.check("s3", storage.check)
    service.check("ingest", ready_check("ingest", settings.ingest_listen))
    service.check("chat", ready_check("chat", settings.chat_listen))
    service.spawn(relay(database, bus, settings), "outbox")
    service.spawn(watch_outbox(database, service.metrics), "outbox-watch")
    service.spawn(
        watch_backups(database, service.metrics, settings.backup_interval_hours * 3600),
        "backup-watch",
    )
    service.spawn(bus.consume("api-stream-keys", [StreamKeyUsed], _mark_used(api)), "keys-used")
    service.spawn(housekeeping.run(database, storage), "housekeeping")
    service.spawn(viewings.run(), "views")
    service.spawn(Sweep(database, storage, bus).run(), "uploads")
    service.spawn(
        bus.consume(export_letters.CONSUMER, [JobDone], partial(export_letters.announce, api)),
        "export-letters",
    )
    service.spawn(install_global_set(database, storage), "global-emotes")
    app = make_app(service, _headers)
    add_routes(app, api)
    await service.listen(app, settings.api_listen)


def add_routes(app: web.Application, api: Api) -> None:
    """Serve every operation, and the documentation of them."""
    for operation in operations():
        path = operation.path
        for name, form in PATH_FORMS.items():
            path = path.replace(f"{{{name}}}", f"{{{name}:{form}}}")
        methods = ("GET", "HEAD") if operation.method == "GET" else (operation.method,)
        for method in methods:
            app.router.add_route(method, PREFIX + path, handler_of(operation, api))
    emotes.add_pictures(app, api)
    uploads.add_headers(app, api.current)
    documentation.add_routes(app, operations(), api.settings, api.current)


def _mark_used(api: Api) -> Callable[[Event], Awaitable[None]]:
    async def handle(event: Event) -> None:
        if not isinstance(event, StreamKeyUsed):
            return
        async with api.database.session() as session:
            await keys.mark_used(session, event.key_id, event.at)

    return handle


@web.middleware
async def _headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("Cache-Control", "no-store")
    return response
