"""Operations on emotes, and their pictures."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler

from api import audit, limits
from api.channels.queries import find_channel
from api.emotes import emotes as acts
from api.emotes.images import MOST_BYTES, SIZES
from api.emotes.schemas import EmoteForm, Emotes, EmoteView
from api.operations import Auth, Call, Operations
from core.access import Action, ChannelRef, authorize
from core.errors import DomainError
from core.holding import removal

if TYPE_CHECKING:
    from api.app import Api

emotes = Operations("Emotes")


@emotes.get("/emotes/global", "The site's emotes", answer=Emotes, auth=Auth.ANYONE)
async def list_global_emotes(call: Call[None, None]) -> Emotes:
    """Those that may be used in every chat."""
    async with call.api.database.session() as session:
        return Emotes.of(await acts.list_emotes(session, None))


@emotes.get("/channels/{login}/emotes", "A channel's emotes", answer=Emotes, auth=Auth.ANYONE)
async def list_channel_emotes(call: Call[None, None]) -> Emotes:
    """Those that may be used in its chat, beside the site's; of two with one code, these count."""
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        return Emotes.of(await acts.list_emotes(session, channel.id))


@emotes.post(
    "/channels/{login}/emotes",
    "Add an emote",
    body=EmoteForm,
    form_limit=MOST_BYTES,
    answer=EmoteView,
    status=201,
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden",),
        HTTPStatus.CONFLICT: ("emote_exists", "too_many_emotes"),
        HTTPStatus.UNPROCESSABLE_ENTITY: ("invalid_image", "image_too_large", "image_too_small"),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def create_emote(call: Call[EmoteForm, None]) -> EmoteView:
    """The picture is made into WebP in three sizes; nothing else of the file is kept."""
    api, form = call.api, call.body
    async with api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        authorize(call.actor, Action.ADD_EMOTES, ChannelRef(channel.id))
    await api.limiter.charge("emote", [(limits.EMOTES_ACCOUNT, str(call.actor.id))])
    async with api.database.session() as session:
        await acts.refuse_taken(session, channel.id, form.code)
        emote_id = await acts.next_id(session)
    # Without a transaction: this takes its time.
    rendered = await api.renderer.render(form.file)
    await acts.store(api.storage, emote_id, rendered)
    try:
        async with api.database.session() as session:
            row = await acts.add(session, channel.id, emote_id, form.code, rendered, call.actor.id)
            audit.record(
                session,
                "emote.added",
                actor_id=call.actor.id,
                target=f"channel:{channel.id}",
                address=call.address,
                emote_id=row.id,
                code=row.code,
            )
    except DomainError:
        await acts.discard(api.storage, emote_id)
        raise
    return EmoteView.of(row)


@emotes.delete(
    "/channels/{login}/emotes/{id}",
    "Remove an emote",
    errors={
        HTTPStatus.FORBIDDEN: ("forbidden",),
        HTTPStatus.NOT_FOUND: ("emote_not_found",),
    },
)
async def delete_emote(call: Call[None, None]) -> None:
    """In messages that are there already its code stands in its place."""
    async with call.api.database.session() as session:
        channel = await find_channel(session, call.path["login"])
        authorize(call.actor, Action.REMOVE_EMOTES, ChannelRef(channel.id))
        code = await acts.remove(session, channel.id, call.id())
        audit.record(
            session,
            "emote.removed",
            actor_id=call.actor.id,
            target=f"channel:{channel.id}",
            address=call.address,
            emote_id=call.id(),
            code=code,
        )
    async with removal(call.api.database) as may:
        # Else housekeeping does it.
        if may:
            await acts.discard(call.api.storage, call.id())


def picture_of(api: Api) -> Handler:
    """The handler of `/emotes/<id>/<size>`: a picture, which never changes."""

    async def handle(request: web.Request) -> web.Response:
        size = int(request.match_info["size"])
        key = acts.object_key(int(request.match_info["id"]), size)
        return web.Response(
            body=await api.storage.get(key),
            content_type="image/webp",
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )

    return handle


def add_pictures(app: web.Application, api: Api) -> None:
    """Serve the pictures; the edge keeps those that are asked for."""
    sizes = "|".join(map(str, SIZES))
    app.router.add_get(rf"/emotes/{{id:[1-9][0-9]{{0,18}}}}/{{size:{sizes}}}", picture_of(api))
