"""Uploads: the tus protocol, and the video that becomes of a file."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from api.uploads.chunks import CHUNK_BYTES, folder
from api.uploads.sweep import Sweep
from api.uploads.uploads import admit
from core.access import Actor
from core.db.models import AuditEntry, Role
from core.db.video_models import Job, Upload, Video, VideoStatus
from core.errors import Forbidden
from core.instance_settings import CurrentSettings
from core.service import Service
from tests.api_kit import Account, Answer, running_api
from tests.harness import eventually_async
from tests.integration.api.conftest import Accounts
from tests.job_kit import Running, jobs_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(api: Service) -> AsyncIterator[Running]:
    """Answers to questions about uploads, and nobody who works on jobs."""
    async with jobs_of(api.settings) as jobs:
        await jobs.respond()
        yield jobs


def metadata(**values: str) -> str:
    """Upload-Metadata."""
    return ",".join(f"{n} {base64.b64encode(v.encode()).decode()}" for n, v in values.items())


async def begin(owner: Account, size: int, **values: str) -> str:
    """A new upload: where it goes."""
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata(**values)}
    answer = await owner("POST", "/uploads", headers=headers)
    assert answer.status == 201, answer
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    return str(answer.headers["Location"])


async def send(owner: Account, url: str, offset: int, data: Any, **headers: str) -> Answer:
    """A PATCH."""
    more = {**BYTES, "Upload-Offset": str(offset), **headers}
    data = io.BytesIO(data) if isinstance(data, bytes) else data
    return await owner("PATCH", url, headers=more, data=data)


async def offset_of(owner: Account, url: str) -> int:
    """How much is there, as tus asks for it."""
    answer = await owner("GET", url, headers=TUS)
    assert answer.status == 200, answer
    return int(answer.headers["Upload-Offset"])


async def stored(jobs: Running, url: str) -> bytes:
    """What is kept of an upload, put together."""
    async with jobs.database.session() as session:
        row = await session.get(Upload, number_of(url))
    assert row is not None
    return b"".join([await jobs.storage.get(chunk["key"]) for chunk in row.chunks])


async def test_what_the_server_can(account: Accounts, running: Running) -> None:
    owner = await account()
    async with owner._session.options("/api/v1/uploads") as answer:
        assert answer.status == 204
        extensions = answer.headers["Tus-Extension"].split(",")
    wanted = {"creation", "creation-with-upload", "termination", "expiration", "checksum"}
    assert wanted <= set(extensions)
    assert answer.headers["Tus-Version"] == "1.0.0"


async def test_a_file_in_pieces_becomes_a_job(account: Accounts, running: Running) -> None:
    owner = await account()
    data = bytes(range(256)) * 9000
    url = await begin(owner, len(data), filename="My_holiday.mov", tags="sea, sun")
    assert await offset_of(owner, url) == 0
    first = await send(owner, url, 0, data[:1_000_000])
    assert (first.status, first.headers["Upload-Offset"]) == (204, "1000000")
    assert "Upload-Expires" in first.headers
    again = await send(owner, url, 0, data[:10])
    assert (again.status, again.code) == (409, "offset_conflict")
    last = await send(owner, url, 1_000_000, data[1_000_000:])
    assert last.headers["Upload-Offset"] == str(len(data))
    assert await stored(running, url) == data
    listed = (await owner("GET", "/uploads")).body["items"]
    assert [item["state"] for item in listed] == ["waiting"]
    assert listed[0]["name"] == "My_holiday.mov"
    async with running.database.session() as session:
        video = await session.get(Video, int(listed[0]["video_id"]))
    assert video is not None
    assert (video.title, video.tags, video.status) == ("My holiday", ["sea", "sun"], "processing")


async def test_a_broken_connection_loses_nothing_that_arrived(
    account: Accounts, running: Running
) -> None:
    owner = await account()
    data = b"x" * (CHUNK_BYTES + 300_000)
    url = await begin(owner, len(data) + 5)
    cut = asyncio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield data
        await cut.wait()

    sending = asyncio.create_task(send(owner, url, 0, halting()))

    async def has_begun() -> bool:
        return await offset_of(owner, url) >= CHUNK_BYTES

    await eventually_async(has_begun)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)

    async def kept() -> bool:
        return await offset_of(owner, url) == len(data)

    await eventually_async(kept)
    assert (await send(owner, url, len(data), b"12345")).status == 204
    assert await stored(running, url) == data + b"12345"


async def test_an_upload_goes_on_after_the_server_was_started_anew(
    account: Accounts, running: Running, api: Service
) -> None:
    owner = await account()
    url = await begin(owner, 10)
    await send(owner, url, 0, b"01234")
    address = api.settings.api_listen.replace("api.sock", "api2.sock")
    async with running_api(api.settings.model_copy(update={"api_listen": address})) as other:
        second = Account(other)
        second.token, second.document = owner.token, owner.document
        try:
            assert await offset_of(second, url) == 5
            assert (await send(second, url, 5, b"56789")).status == 204
        finally:
            await second.close()
    assert await stored(running, url) == b"0123456789"


async def test_small_requests_do_not_make_countless_objects(
    account: Accounts, running: Running
) -> None:
    owner = await account()
    url = await begin(owner, 1000)
    for at in range(0, 900, 100):
        assert (await send(owner, url, at, bytes([at % 251]) * 100)).status == 204
    there = await running.storage.list(folder_of(url))
    assert len(there) == 1
    assert len(await stored(running, url)) == 900


def number_of(url: str) -> UUID:
    """The id in an upload's address."""
    return UUID(url.rpartition("/")[2])


def folder_of(url: str) -> str:
    """Where an upload's objects are."""
    return folder(number_of(url))


async def test_of_two_that_go_on_at_once_the_last_to_come_has_the_word(
    account: Accounts, running: Running
) -> None:
    owner = await account()
    sent = CHUNK_BYTES + 300_000
    url = await begin(owner, sent + 5)
    never = asyncio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield b"a" * sent
        await never.wait()

    first = asyncio.create_task(send(owner, url, 0, halting()))

    async def has_begun() -> int | None:
        at = await offset_of(owner, url)
        return at if at >= CHUNK_BYTES else None

    at = await eventually_async(has_begun)
    assert at is not None
    # What the first has sent is kept, and so the other is told.
    second = await send(owner, url, at, b"b" * 10)
    assert (second.status, second.code) == (409, "offset_conflict")
    assert ((await first).status, (await first).code) == (409, "offset_conflict")
    assert await offset_of(owner, url) == sent
    assert (await send(owner, url, sent, b"b" * 5)).status == 204
    assert await stored(running, url) == b"a" * sent + b"b" * 5


async def test_whole_is_whole_though_the_connection_broke(
    account: Accounts, running: Running
) -> None:
    owner = await account()
    size = CHUNK_BYTES + 300_000
    url = await begin(owner, size)
    sent, never = asyncio.Event(), asyncio.Event()

    async def halting() -> AsyncIterator[bytes]:
        yield b"x" * size
        sent.set()
        await never.wait()

    sending = asyncio.create_task(send(owner, url, 0, halting()))
    await sent.wait()

    async def reached(offset: int) -> bool:
        return await offset_of(owner, url) >= offset

    await eventually_async(lambda: reached(CHUNK_BYTES))
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await eventually_async(lambda: reached(size))
    # Its client asks, hears that all is there, and comes no more.
    assert (await owner("GET", url)).body["state"] == "waiting"


async def test_what_waits_for_a_worker_takes_room(
    account: Accounts, running: Running, api: Service
) -> None:
    owner = await account()
    url = await begin(owner, 10)
    await send(owner, url, 0, b"0123456789")
    await begin(owner, 5)
    actor = Actor(owner.id, owner.login, Role.CREATOR)
    limited = CurrentSettings(api.settings.model_copy(update={"upload_quota_bytes": 20})).now
    async with running.database.session() as session:
        await admit(session, actor, 5, limited)
        with pytest.raises(Forbidden, match="storage"):
            await admit(session, actor, 6, limited)


async def test_a_checksum_is_checked(account: Accounts, running: Running) -> None:
    owner = await account()
    url = await begin(owner, 8)
    good = base64.b64encode(hashlib.sha256(b"abcd").digest()).decode()
    wrong = await owner._session.patch(
        url,
        data=b"abcx",
        headers={
            **BYTES,
            "Upload-Offset": "0",
            "Upload-Checksum": f"sha256 {good}",
            "Authorization": f"Bearer {owner.token}",
        },
    )
    assert wrong.status == 460
    assert await offset_of(owner, url) == 0
    assert await running.storage.list(folder_of(url)) == []
    right = await send(owner, url, 0, b"abcd", **{"Upload-Checksum": f"sha256 {good}"})
    assert right.status == 204
    unknown = await send(owner, url, 4, b"efgh", **{"Upload-Checksum": "crc99 AAAA"})
    assert (unknown.status, unknown.code) == (400, "invalid_checksum")


async def test_a_body_with_the_creation(account: Accounts, running: Running) -> None:
    owner = await account()
    headers = {**BYTES, "Upload-Length": "6"}
    answer = await owner("POST", "/uploads", headers=headers, data=b"abc")
    assert (answer.status, answer.headers["Upload-Offset"]) == (201, "3")
    url = answer.headers["Location"]
    too_much = await send(owner, url, 3, b"defg")
    assert (too_much.status, too_much.code) == (413, "upload_too_large")
    assert (await send(owner, url, 3, b"def")).status == 204
    assert await stored(running, url) == b"abcdef"


async def test_what_is_refused(account: Accounts, running: Running, api: Service) -> None:
    owner, viewer = await account(), await account(Role.VIEWER)

    async def refused(headers: dict[str, str], by: Account = owner) -> tuple[int, str]:
        answer = await by("POST", "/uploads", headers=headers)
        return answer.status, answer.code

    assert await refused({"Upload-Length": "5"}) == (412, "tus_version")
    assert await refused(TUS) == (400, "invalid_header")
    assert await refused({**TUS, "Upload-Length": "0"}) == (422, "empty_file")
    most = api.settings.upload_max_bytes
    assert await refused({**TUS, "Upload-Length": str(most + 1)}) == (413, "upload_too_large")
    assert await refused({**TUS, "Upload-Length": "5"}, viewer) == (403, "uploading_not_allowed")
    secret = {**TUS, "Upload-Length": "5", "Upload-Metadata": metadata(visibility="secret")}
    assert await refused(secret) == (422, "invalid_field")
    for _ in range(api.settings.upload_parallel):
        await begin(owner, 5)
    assert await refused({**TUS, "Upload-Length": "5"}) == (429, "too_many_uploads")


@pytest.mark.parametrize(
    "name", ["a\0b\r\n\x1b[2J.mp4", "\u202e4pm.x", "é" * 2000, "\0", "../../etc"]
)
async def test_names_of_any_kind(account: Accounts, running: Running, name: str) -> None:
    owner = await account()
    for more in ({}, {"title": "Mine"}):
        url = await begin(owner, 5, filename=name, **more)
        seen = (await owner("GET", url)).body
        assert seen["name"].isprintable() and len(seen["name"]) <= 200
        async with running.database.session() as session:
            video = await session.get(Video, int(seen["video_id"]))
        assert video is not None
        assert video.title.isprintable() and len(video.title) <= 140


async def test_nobody_else_has_a_hand_in_it(account: Accounts, running: Running) -> None:
    owner, stranger = await account(), await account()
    url = await begin(owner, 5)
    assert (await stranger("GET", url)).code == "upload_not_found"
    assert (await send(stranger, url, 0, b"abcde")).code == "upload_not_found"
    assert (await stranger("DELETE", url)).code == "upload_not_found"


async def test_a_cancelled_upload_leaves_nothing(account: Accounts, running: Running) -> None:
    owner = await account()
    url = await begin(owner, 10)
    await send(owner, url, 0, b"abc")
    video_id = (await owner("GET", url)).body["video_id"]
    assert (await owner("DELETE", url, headers=TUS)).status == 204
    assert (await owner("GET", url)).code == "upload_not_found"
    assert await running.storage.list(folder_of(url)) == []
    async with running.database.session() as session:
        assert await session.get(Video, int(video_id)) is None


async def test_one_that_is_not_gone_on_with_expires(account: Accounts, running: Running) -> None:
    owner = await account()
    url = await begin(owner, 10)
    await send(owner, url, 0, b"abc")
    number = number_of(url)
    async with running.database.session() as session:
        old = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(update(Upload).where(Upload.id == number).values(expires_at=old))
    gone = await send(owner, url, 3, b"def")
    assert (gone.status, gone.code) == (410, "upload_expired")
    await Sweep(running.database, running.storage, running.bus).once(datetime.now(UTC))
    assert await running.storage.list(folder_of(url)) == []
    async with running.database.session() as session:
        assert await session.get(Upload, number) is None


async def test_recorder_is_asked_again_for_what_it_was_not_told(
    account: Accounts, running: Running
) -> None:
    owner = await account()
    url = await begin(owner, 3)
    number = number_of(url)
    await send(owner, url, 0, b"ab")
    async with running.database.session() as session:
        values = {"state": "complete", "created_at": datetime.now(UTC) - timedelta(minutes=5)}
        await session.execute(update(Upload).where(Upload.id == number).values(**values))
    assert (await owner("GET", url)).body["state"] == "waiting"
    await Sweep(running.database, running.storage, running.bus).once(datetime.now(UTC))
    listed = (await owner("GET", "/uploads")).body["items"]
    job_id = await _job_of(running, int(listed[0]["video_id"]))
    assert job_id is not None


async def test_the_file_goes_once_there_is_a_video(account: Accounts, running: Running) -> None:
    owner = await account()
    url = await begin(owner, 3)
    await send(owner, url, 0, b"abc")
    video_id = int((await owner("GET", url)).body["video_id"])
    async with running.database.session() as session:
        mine = update(Video).where(Video.id == video_id)
        await session.execute(mine.values(status=VideoStatus.READY))
    await Sweep(running.database, running.storage, running.bus).once(datetime.now(UTC))
    assert await running.storage.list(folder_of(url)) == []
    assert (await owner("GET", url)).body["state"] == "done"


async def fail(running: Running, owner: Account, *, retry: bool) -> tuple[str, int]:
    """An upload of which no video could be made, and the sweep came by: where it is, and its video."""
    url = await begin(owner, 3)
    await send(owner, url, 0, b"abc")
    video_id = int((await owner("GET", url)).body["video_id"])
    error = {"code": "worker_died", "message": "It was given up.", "retry": retry}
    async with running.database.session() as session:
        mine = update(Video).where(Video.id == video_id)
        await session.execute(mine.values(status=VideoStatus.FAILED, error=error))
        ended = update(Job).where(Job.video_id == video_id)
        await session.execute(ended.values(state="failed", result={"claims": 3, "deaths": 3}))
    await Sweep(running.database, running.storage, running.bus).once(datetime.now(UTC))
    return url, video_id


async def test_what_failed_is_tried_again(account: Accounts, running: Running) -> None:
    owner, stranger, admin = await account(), await account(), await account(Role.ADMIN)
    url, video_id = await fail(running, owner, retry=True)
    retry = f"/videos/{video_id}/retry"
    before = (await owner("GET", url)).body
    assert (before["state"], before["error"]["retry"]) == ("failed", True)
    assert (await stranger("POST", retry)).status in (403, 404)
    answer = await owner("POST", retry)
    assert (answer.status, answer.body["status"], answer.body["own"]["error"]) == (
        202,
        "processing",
        None,
    )
    after = (await owner("GET", url)).body
    assert (after["state"], after["error"]) == ("waiting", None)
    assert after["expires_at"] > before["expires_at"]
    again = await admin("POST", retry)
    assert (again.status, again.code) == (409, "video_not_failed")
    async with running.database.session() as session:
        query = select(Job).where(Job.video_id == video_id).order_by(Job.id)
        first, second = (await session.scalars(query)).all()
    assert (second.state, second.kind, second.params) == ("queued", first.kind, first.params)
    # The names of another attempt's objects are not used again.
    assert second.result == {"claims": 3}
    assert await stored(running, url) == b"abc"


async def test_what_an_admin_tries_again_is_in_the_log(account: Accounts, running: Running) -> None:
    owner, admin = await account(), await account(Role.ADMIN)
    _, video_id = await fail(running, owner, retry=True)
    assert (await admin("POST", f"/videos/{video_id}/retry")).status == 202
    async with running.database.session() as session:
        query = select(AuditEntry).where(AuditEntry.action == "video.retried")
        entries = (await session.scalars(query)).all()
    assert [(e.actor_id, e.data["video_id"]) for e in entries] == [(admin.id, str(video_id))]


async def test_a_file_that_is_not_kept_has_to_come_again(
    account: Accounts, running: Running
) -> None:
    owner = await account()
    url, video_id = await fail(running, owner, retry=False)
    assert await running.storage.list(folder_of(url)) == []
    refused = await owner("POST", f"/videos/{video_id}/retry")
    assert (refused.status, refused.code) == (409, "upload_gone")
    url, video_id = await fail(running, owner, retry=True)
    async with running.database.session() as session:
        mine = update(Upload).where(Upload.id == number_of(url))
        await session.execute(mine.values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    await Sweep(running.database, running.storage, running.bus).once(datetime.now(UTC))
    assert await running.storage.list(folder_of(url)) == []
    video = (await owner("GET", f"/videos/{video_id}")).body
    assert (video["status"], video["own"]["error"]["retry"]) == ("failed", False)
    refused = await owner("POST", f"/videos/{video_id}/retry")
    assert (refused.status, refused.code) == (409, "upload_gone")


async def test_a_video_without_an_upload_goes(account: Accounts, running: Running) -> None:
    owner = await account()
    url = await begin(owner, 3)
    kept = int((await owner("GET", url)).body["video_id"])
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    async with running.database.session() as session:
        orphan = Video(channel_id=owner.id, kind="upload", status="processing")
        session.add(orphan)
        await session.flush()
        both = Video.id.in_((orphan.id, kept))
        await session.execute(update(Video).where(both).values(created_at=long_ago))
    sweep = Sweep(running.database, running.storage, running.bus)
    await sweep.forget_orphans(datetime.now(UTC))
    async with running.database.session() as session:
        assert await session.get(Video, orphan.id) is None
        assert await session.get(Video, kept) is not None


async def _job_of(jobs: Running, video_id: int) -> int | None:
    async with jobs.database.session() as session:
        found: int | None = await session.scalar(select(Job.id).where(Job.video_id == video_id))
    return found
