"""A poster of one's own."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from core.service import Service
from recorder.posters import Posters, object_key
from tests.api_kit import Account, Answer
from tests.clip_kit import published
from tests.e2e.samples import Recipe
from tests.integration.api.conftest import Accounts
from tests.job_kit import Running, add_video, jobs_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(api: Service) -> AsyncIterator[Running]:
    """Answers to questions about posters."""
    async with jobs_of(api.settings) as jobs:
        await jobs.bus.connected()
        ffmpeg = str(api.settings.ffmpeg_path)
        await Posters(jobs.database, jobs.storage, ffmpeg).respond(jobs.bus)
        yield jobs


def picture(kind: str, size: tuple[int, int] = (1920, 1080)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(file, kind)
    return file.getvalue()


async def upload(owner: Account, video_id: int, data: bytes) -> Answer:
    form = aiohttp.FormData()
    form.add_field("file", data, filename="a")
    return await owner("PUT", f"/videos/{video_id}/poster", data=form)


async def _video(jobs: Running, owner: Account) -> int:
    media = {"source": published(Recipe(seconds=4).make())}
    return await add_video(jobs.database, jobs.storage, owner.id, media)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_becomes_a_jpeg(account: Accounts, running: Running, kind: str) -> None:
    owner = await account()
    video_id = await _video(running, owner)
    answer = await upload(owner, video_id, picture(kind))
    assert answer.status == 200, answer
    assert (answer.body["width"], answer.body["height"]) == (1280, 720)
    assert answer.body["thumbnail_url"] == f"/vod/{video_id}/poster.jpg?v=1"
    with Image.open(io.BytesIO(await running.storage.get(object_key(video_id)))) as stored:
        assert (stored.format, stored.size) == ("JPEG", (1280, 720))
    again = await upload(owner, video_id, picture(kind, (100, 200)))
    assert again.body["thumbnail_url"] == f"/vod/{video_id}/poster.jpg?v=2"


async def test_a_moment_of_the_video(account: Accounts, running: Running) -> None:
    owner = await account()
    video_id = await _video(running, owner)
    answer = await owner("POST", f"/videos/{video_id}/poster", {"at_s": 3.5})
    assert answer.status == 200, answer
    assert (answer.body["width"], answer.body["height"]) == (320, 180)
    with Image.open(io.BytesIO(await running.storage.get(object_key(video_id)))) as stored:
        assert stored.size == (320, 180)


async def test_what_is_refused(account: Accounts, running: Running) -> None:
    owner, stranger = await account(), await account()
    video_id = await _video(running, owner)
    assert (await upload(owner, video_id, b"no picture")).code == "invalid_image"
    assert (await upload(owner, video_id, picture("PNG", (9000, 20)))).code == "image_too_large"
    assert (await upload(stranger, video_id, picture("PNG"))).code == "forbidden"
    asked = await stranger("POST", f"/videos/{video_id}/poster", {"at_s": 0})
    assert asked.code == "forbidden"
    assert (await upload(owner, 10**15, picture("PNG"))).code == "video_not_found"
