"""Exports: asked for, made by workers, announced, and downloaded by whoever may."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit

import av
import pytest
import pytest_asyncio
from sqlalchemy import update

from core.db.video_models import Job, VideoStatus
from core.service import Service
from recorder import exports
from tests.api_kit import Account, Client, MailServer
from tests.clip_kit import published
from tests.e2e.samples import Recipe, Sample, number_of
from tests.integration.api.conftest import Accounts
from tests.job_kit import Running, add_video, jobs_of
from tests.packager_kit import Published

pytestmark = pytest.mark.asyncio(loop_scope="session")


@functools.cache
def legs() -> tuple[Sample, Sample]:
    """What was sent before a reconnect, and after it."""
    return Recipe(seconds=6).make(), Recipe(seconds=4, first=1000).make()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(api: Service, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """Workers beside the shared API."""
    async with jobs_of(api.settings) as jobs:
        await jobs.respond()
        async with jobs.workers(tmp_path_factory.mktemp("jobs"), slots=2):
            yield jobs


@pytest.fixture(scope="module")
def broadcast() -> dict[str, Published]:
    """A broadcast with a reconnect in it."""
    return {"source": published(*legs())}


async def _video(jobs: Running, owner: Account, broadcast: dict[str, Published]) -> int:
    return await add_video(jobs.database, jobs.storage, owner.id, broadcast)


async def _export(owner: Account, jobs: Running, video_id: int, kind: str) -> dict[str, object]:
    asked = await owner("POST", f"/videos/{video_id}/exports", {"format": kind})
    assert asked.status == 202, asked
    await jobs.until(int(asked.body["id"]), "done", "failed")
    answer = await owner("GET", f"/exports/{asked.body['id']}")
    content: dict[str, object] = answer.body
    return content


async def test_an_mp4_has_every_frame_once_and_its_index_in_front(
    account: Accounts, running: Running, broadcast: dict[str, Published]
) -> None:
    owner = await account()
    video_id = await _video(running, owner, broadcast)
    export = await _export(owner, running, video_id, "mp4")
    assert export["state"] == "done", export
    assert export["progress"] == 1
    data = await running.storage.get(exports.object_key(video_id, int(str(export["id"])), "mp4"))
    assert export["size"] == len(data)
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data), "r") as container:
        pictures = list(container.decode(video=0))
    numbers = [number_of(picture) for picture in pictures]
    assert numbers == [number for leg in legs() for number in leg.numbers]
    with av.open(io.BytesIO(data), "r") as container:
        sound = [frame.samples for frame in container.decode(audio=0)]
    times = [picture.time or 0.0 for picture in pictures]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(10, abs=0.2)
    assert sum(sound) / 48_000 == pytest.approx(10, abs=0.3)


async def test_an_mp3_has_all_of_the_sound(
    account: Accounts, running: Running, broadcast: dict[str, Published]
) -> None:
    owner = await account()
    video_id = await _video(running, owner, broadcast)
    export = await _export(owner, running, video_id, "mp3")
    assert export["state"] == "done", export
    data = await running.storage.get(exports.object_key(video_id, int(str(export["id"])), "mp3"))
    with av.open(io.BytesIO(data), "r", format="mp3") as container:
        assert container.metadata["title"] == "A broadcast"
        assert container.streams.audio[0].bit_rate == 192_000
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / 48_000
    assert seconds == pytest.approx(10, abs=0.3)


async def test_the_mail_has_a_link_that_works_for_its_owner_only_and_ends(
    account: Accounts,
    client: Client,
    running: Running,
    mail_server: MailServer,
    broadcast: dict[str, Published],
) -> None:
    owner, stranger = await account(), await account()
    video_id = await _video(running, owner, broadcast)
    export = await _export(owner, running, video_id, "mp3")
    mail = await mail_server.next_to(f"{owner.login}@example.org")
    assert "MP3 is ready" in mail["Subject"]
    plain = mail.get_body(("plain",))
    rich = mail.get_body(("html",))
    assert plain is not None and rich is not None
    found = re.search(r"https?://\S+/download\?link=\S+", plain.get_content())
    assert found is not None
    assert found[0].replace("&", "&amp;") in rich.get_content()
    address = urlsplit(found[0])
    link = f"{address.path}?{address.query}"

    opened = await client("GET", link, allow_redirects=False)
    assert opened.status == 302
    place = opened.headers["Location"]
    assert place.startswith("/vod/~") and place.endswith(f"/exports/{export['id']}.mp3?download=1")
    secret = {"link": address.query.removeprefix("link=")}
    assert (await owner("GET", address.path, params=secret, allow_redirects=False)).status == 302
    refused = await stranger("GET", address.path, params=secret, allow_redirects=False)
    assert (refused.status, refused.code) == (403, "not_your_export")
    changed = await client("GET", link[:-2] + "xx", allow_redirects=False)
    assert (changed.status, changed.code) == (403, "link_not_valid")
    expired = re.sub(r"link=\d+", "link=1000000000", link)
    assert (await client("GET", expired, allow_redirects=False)).code == "link_not_valid"
    other = await _export(owner, running, video_id, "mp4")
    moved = link.replace(f"/exports/{export['id']}/", f"/exports/{other['id']}/")
    assert (await client("GET", moved, allow_redirects=False)).code == "link_not_valid"


async def test_with_a_login_its_owner_downloads_and_nobody_else(
    account: Accounts, client: Client, running: Running, broadcast: dict[str, Published]
) -> None:
    owner, stranger = await account(), await account()
    video_id = await _video(running, owner, broadcast)
    export = await _export(owner, running, video_id, "mp4")
    url = str(export["download_url"])
    assert (await owner("GET", url, allow_redirects=False)).status == 302
    assert (await client("GET", url, allow_redirects=False)).code == "not_logged_in"
    assert (await stranger("GET", url, allow_redirects=False)).code == "export_not_found"
    assert (await stranger("GET", f"/exports/{export['id']}")).code == "export_not_found"
    assert (await stranger("GET", f"/videos/{video_id}/exports")).code == "forbidden"
    asked = await stranger("POST", f"/videos/{video_id}/exports", {"format": "mp4"})
    assert asked.code == "forbidden"


async def test_asking_twice_makes_it_once(
    account: Accounts, running: Running, broadcast: dict[str, Published]
) -> None:
    owner = await account()
    video_id = await _video(running, owner, broadcast)
    first = await _export(owner, running, video_id, "mp4")
    again = await _export(owner, running, video_id, "mp4")
    assert again["id"] == first["id"]
    listed = await owner("GET", f"/videos/{video_id}/exports")
    assert [item["id"] for item in listed.body["items"]] == [first["id"]]


async def test_what_cannot_be_exported_says_why(
    account: Accounts, running: Running, mail_server: MailServer
) -> None:
    owner = await account()
    silent = {"source": published(Recipe(seconds=3, channels=0).make())}
    video_id = await add_video(running.database, running.storage, owner.id, silent)
    refused = await _export(owner, running, video_id, "mp3")
    assert refused["state"] == "failed"
    assert refused["error"] == {
        "code": "no_sound",
        "message": "This video has no sound to make an MP3 of.",
    }
    mail = await mail_server.next_to(f"{owner.login}@example.org")
    assert "could not be made" in mail["Subject"]
    live = await add_video(
        running.database, running.storage, owner.id, silent, status=VideoStatus.LIVE
    )
    answer = await owner("POST", f"/videos/{live}/exports", {"format": "mp4"})
    assert (answer.status, answer.code) == (409, "video_not_ready")


async def test_files_go_when_their_time_is_over(
    account: Accounts, running: Running, broadcast: dict[str, Published]
) -> None:
    owner = await account()
    video_id = await _video(running, owner, broadcast)
    export = await _export(owner, running, video_id, "mp4")
    number = int(str(export["id"]))
    async with running.database.session() as session:
        old = Job.ended_at - timedelta(days=30)
        await session.execute(update(Job).where(Job.id == number).values(ended_at=old))
    assert await exports.sweep(running.database, running.storage, 7) >= 1
    assert await running.storage.list(f"videos/{video_id}/exports/") == []
    seen = (await owner("GET", f"/exports/{number}")).body
    assert seen["download_url"] is None
    answer = await owner("GET", f"/exports/{number}/download", allow_redirects=False)
    assert (answer.status, answer.code) == (409, "export_not_ready")
