"""Operations on uploads: tus 1.0, and what there is of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, web
from pydantic import ValidationError
from sqlalchemy import update

from api import limits
from api.operations import PATH_FORMS, PREFIX, AnyCall, Call, Operations, Reply, invalid
from api.recorder import ask
from api.uploads import tus
from api.uploads import uploads as acts
from api.uploads.chunks import BadChecksum, Receiver, TooMuch, folder
from api.uploads.schemas import Uploads, UploadView
from api.videos.schemas import VideoBody
from core.db.models import Channel
from core.db.video_models import Upload, UploadState
from core.errors import Conflict, DomainError, Invalid
from core.holding import removal
from core.http import error_body
from core.instance_settings import CurrentSettings
from core.logs import logger

log = logger(__name__)

uploads = Operations("Uploads")

# Of Upload-Metadata, what is about the video; the rest is the client's own.
_FIELDS = ("title", "description", "category", "language", "visibility", "published_at")
_NOT_FOUND = {HTTPStatus.NOT_FOUND: ("upload_not_found",)}
_RECEIVES: Mapping[HTTPStatus, tuple[str, ...]] = {
    HTTPStatus.BAD_REQUEST: ("invalid_header", "invalid_checksum"),
    HTTPStatus.CONFLICT: ("offset_conflict",),
    HTTPStatus.GONE: ("upload_expired",),
    HTTPStatus.PRECONDITION_FAILED: ("tus_version",),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("upload_too_large",),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("unsupported_media_type",),
}


@uploads.post(
    "/uploads",
    "Begin an upload",
    status=201,
    errors={
        **_RECEIVES,
        HTTPStatus.BAD_REQUEST: ("invalid_header", "invalid_checksum", "invalid_metadata"),
        HTTPStatus.FORBIDDEN: ("uploading_not_allowed", "channel_suspended", "quota_exceeded"),
        HTTPStatus.UNPROCESSABLE_ENTITY: (
            *("empty_file", "invalid_metadata", "invalid_field", "too_long", "too_many"),
            *("invalid_character", "unknown_field"),
        ),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited", "too_many_uploads"),
    },
)
async def create_upload(call: Call[None, None]) -> web.StreamResponse:
    """tus `creation`: `Upload-Length`, and in `Upload-Metadata` the file's `filename` and, of the video,
    `title`, `description`, `tags` (separated by commas), `category`, `language`, `visibility`,
    `published_at`. The answer's `Location` is where the file goes, `Upload-Video` the video that it
    becomes. A body (`creation-with-upload`) is the file's beginning.
    """
    api, headers = call.api, call.request.headers
    if (refusal := _refusal(call.request)) is not None:
        return refusal
    size = tus.number(headers, "Upload-Length")
    if size == 0:
        raise Invalid("This file is empty.", code="empty_file")
    if size > api.current.now.upload_max_bytes:
        most = api.current.now.upload_max_bytes
        return _refuse(413, "upload_too_large", f"A file may have at most {most} bytes.")
    given = tus.metadata(headers)
    fields = _fields(given)
    checksum = tus.checksum(headers)
    await api.limiter.charge("upload", [(limits.UPLOADS_ACCOUNT, str(call.actor.id))])
    life = timedelta(seconds=api.settings.upload_expires_s)
    async with api.database.session() as session:
        await acts.admit(session, call.actor, size, api.current.now)
        if "visibility" not in fields:
            channel = await session.get(Channel, call.actor.id)
            if channel is not None:
                fields["visibility"] = channel.video_visibility
        answer = await ask(call, "upload.begin", fields=fields)
        name = tus.file_name(given)
        row = acts.begun(call.actor, int(answer["video_id"]), name, size, life)
        session.add(row)
    more = {"Location": f"{PREFIX}/uploads/{row.id}", "Upload-Video": str(row.video_id)}
    if not call.request.can_read_body:
        return _answer(201, row.received, row.expires_at, more)
    return await _receive(call, row, checksum, 201, more)


def _fields(given: Mapping[str, str]) -> dict[str, Any]:
    """What Upload-Metadata says of the video. Raises Invalid."""
    values: dict[str, Any] = {name: given[name] for name in _FIELDS if given.get(name)}
    if given.get("tags"):
        values["tags"] = [tag.strip() for tag in given["tags"].split(",") if tag.strip()]
    if "title" not in values and (name := tus.file_name(given)):
        values["title"] = acts.title_of(name)
    try:
        # Dates come as text.
        return VideoBody.model_validate(values, strict=False).changes()
    except ValidationError as error:
        raise invalid(error) from error


@uploads.get("/uploads", "Your uploads", answer=Uploads)
async def list_uploads(call: Call[None, None]) -> Uploads:
    """Those under way, and what became of those of the last days."""
    async with call.api.database.session() as session:
        return Uploads.of(await acts.listed(session, call.actor.id))


@uploads.get(
    "/uploads/{upload}",
    "An upload",
    answer=UploadView,
    errors={**_NOT_FOUND, HTTPStatus.GONE: ("upload_expired",)},
)
async def get_upload(call: Call[None, None]) -> Reply | web.StreamResponse:
    """With HEAD it is tus' question how much is there: `Upload-Offset`, `Upload-Length`."""
    async with call.api.database.session() as session:
        row = await acts.find(session, call.actor, call.path["upload"])
        rows = await acts.listed(session, call.actor.id)
    if _is_over(row):
        return _gone()
    view = next((UploadView.of(*each) for each in rows if each[0].id == row.id), None)
    headers = {
        **_headers(row.received, row.expires_at),
        "Upload-Length": str(row.size),
        "Upload-Metadata": f"filename {tus.encoded(row.name)}",
        "Cache-Control": "no-store",
    }
    return Reply(view or UploadView.of(row, None, None), headers=headers)


@uploads.patch(
    "/uploads/{upload}", "Go on with an upload", status=204, errors={**_NOT_FOUND, **_RECEIVES}
)
async def continue_upload(call: Call[None, None]) -> web.StreamResponse:
    """The body (`application/offset+octet-stream`) is the file from `Upload-Offset` on, as much of it as
    one likes; what arrives of it is kept also when the connection breaks. With `Upload-Checksum` all of
    it is kept, or nothing (460).
    """
    headers = call.request.headers
    if (refusal := _refusal(call.request)) is not None:
        return refusal
    if call.request.content_type != tus.CONTENT_TYPE:
        return _refuse(415, "unsupported_media_type", f"The body has to be {tus.CONTENT_TYPE}.")
    offset, checksum = tus.number(headers, "Upload-Offset"), tus.checksum(headers)
    async with call.api.database.session() as session:
        row = await acts.find(session, call.actor, call.path["upload"])
    if await call.api.receiving.make_way(row.id):
        async with call.api.database.session() as session:
            row = await acts.find(session, call.actor, call.path["upload"])
    if _is_over(row):
        return _gone()
    if offset != row.received:
        raise Conflict(f"This upload goes on at {row.received}.", code="offset_conflict")
    if row.state == UploadState.COMPLETE:
        return _answer(204, row.received, row.expires_at, {})
    return await _receive(call, row, checksum, 204, {})


@uploads.delete("/uploads/{upload}", "Cancel an upload", errors=_NOT_FOUND)
async def cancel_upload(call: Call[None, None]) -> None:
    """Its video goes as well, unless it is ready already (tus `termination`)."""
    api = call.api
    async with api.database.session() as session:
        row = await acts.find(session, call.actor, call.path["upload"])
        await session.execute(
            update(Upload).where(Upload.id == row.id).values(state=UploadState.CANCELLED)
        )
    # What fails from here on is done by the sweep.
    with suppress(DomainError):
        if row.video_id is not None:
            await ask(call, "upload.abandon", video_id=row.video_id)
        stored = [found.key for found in await api.storage.list(folder(row.id))]
        async with removal(api.database) as may:
            if may:
                await api.storage.delete(*stored)


async def options(_request: web.Request) -> web.Response:
    """What this server can (tus)."""
    return web.Response(status=204)


def add_headers(app: web.Application, current: CurrentSettings) -> None:
    """tus' own headers on every answer below /uploads, errors as well."""

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        if request.path.startswith(f"{PREFIX}/uploads"):
            response.headers["Tus-Resumable"] = tus.VERSION
            if request.method == "OPTIONS":
                response.headers["Tus-Version"] = tus.VERSION
                response.headers["Tus-Extension"] = tus.EXTENSIONS
                response.headers["Tus-Checksum-Algorithm"] = tus.ALGORITHMS
                response.headers["Tus-Max-Size"] = str(current.now.upload_max_bytes)

    app.on_response_prepare.append(prepare)
    app.router.add_route("OPTIONS", f"{PREFIX}/uploads", options)
    one = f"{{upload:{PATH_FORMS['upload']}}}"
    app.router.add_route("OPTIONS", f"{PREFIX}/uploads/{one}", options)


# --- receiving ------------------------------------------------------------------------------------


async def _receive(
    call: AnyCall, row: Upload, checksum: tus.Checksum | None, status: int, more: Mapping[str, str]
) -> web.StreamResponse:
    """The request's body into the upload; at its end, the job that makes a video of it."""
    api = call.api
    life = timedelta(seconds=api.settings.upload_expires_s)
    receiver = Receiver(
        api.database, api.storage, row.id, row.size, row.chunks, row.received, life, checksum
    )
    async with api.receiving.place(receiver):
        try:
            received = await receiver.take(call.request.content)
        except BadChecksum:
            return _refuse(tus.CHECKSUM_MISMATCH, "checksum_mismatch", "The checksum is another.")
        except TooMuch:
            return _refuse(413, "upload_too_large", "There is more than Upload-Length said.")
        except (ClientError, TimeoutError) as error:
            raise web.HTTPRequestTimeout from error
    if received == row.size:
        await _complete(call, row)
    return _answer(status, received, datetime.now(UTC) + life, more)


async def _complete(call: AnyCall, row: Upload) -> None:
    """All of it is here. Where recorder is away, the sweep asks it again."""
    try:
        await ask(call, "upload.complete", upload_id=str(row.id), video_id=row.video_id)
    except DomainError as error:
        log.warning("upload_waits", upload=str(row.id), reason=error.message)


def _is_over(row: Upload) -> bool:
    return row.state == UploadState.RECEIVING and row.expires_at < datetime.now(UTC)


def _gone() -> web.Response:
    return _refuse(410, "upload_expired", "This upload was not gone on with in time.")


def _refusal(request: web.Request) -> web.Response | None:
    """The answer to a client that speaks another version."""
    if request.headers.get("Tus-Resumable") == tus.VERSION:
        return None
    response = _refuse(412, "tus_version", f"The header Tus-Resumable has to be {tus.VERSION}.")
    response.headers["Tus-Version"] = tus.VERSION
    return response


def _refuse(status: int, code: str, message: str) -> web.Response:
    return web.json_response(error_body(DomainError(message, code=code)), status=status)


def _headers(offset: int, expires_at: datetime) -> dict[str, str]:
    return {"Upload-Offset": str(offset), "Upload-Expires": tus.expires(expires_at)}


def _answer(
    status: int, offset: int, expires_at: datetime, more: Mapping[str, str]
) -> web.StreamResponse:
    return web.Response(status=status, headers={**_headers(offset, expires_at), **more})
