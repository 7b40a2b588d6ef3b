"""A stream key in use is nowhere to be found: no log, file, name, URL, row or argument holds it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Recipe
from tests.e2e.stage import Stage, command_line, descendants, watch

pytestmark = pytest.mark.timeout(240)


async def test_a_stream_key_is_nowhere(stage: Stage) -> None:
    sample = Recipe(seconds=20, fps=25, channels=1).make()
    async with stage.channel() as channel:
        key = channel.key
        canary = key.rpartition("_")[2]
        assert len(canary) >= 22
        follower, following = await watch(stage, channel.login)
        async with await stage.publisher(key) as connection:
            pushing = asyncio.create_task(connection.push(sample.tags))
            await channel.wait_for("live")
            # The ways in which a key is mistyped, and a second encoder that uses it.
            for name in (f"{key}x", f"{key[:-1]}", f"{key}?x={key}", f"{key}/", f"../{key}"):
                with contextlib.suppress(Rejected):
                    async with await Connection.open(stage.rtmp_port) as wrong:
                        await wrong.publish(name)
            await _mislaid(stage, key)
            await asyncio.sleep(3)
            arguments = list(_arguments(stage, canary))
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await connection.stop()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        served = await _served(stage, channel.client, channel.login)
        served += [follower.multivariant, *(a.text for a in follower.source.playlists)]
        assert arguments == []
        assert [text for text in served if canary in text] == []
        assert await _rows(stage, canary) == []
        folders = (stage.instance.data, stage.media, Path(stage.environment["FOOTLIGHT_RUN_DIR"]))
        found = [path for folder in folders for path in _files(folder, canary.encode())]
        assert found == []
        assert canary not in stage.instance.output.read_text()


async def _mislaid(stage: Stage, key: str) -> None:
    """Put the key where it does not belong: bodies, queries and headers end up in no log either."""
    async with httpx.AsyncClient(base_url=stage.http) as client:
        await client.post("/api/v1/auth/login", json={"login": key, "password": key})
        await client.post("/api/v1/auth/login", json={"login": "abc", key: key})
        await client.post("/api/v1/auth/forgot", json={"email": key})
        await client.get("/api/v1/streams", params={"cursor": key, "category": key})
        await client.get("/live/nobody/index.m3u8", params={"p": key, "_HLS_msn": key})
        await client.get("/api/v1/me", headers={"Authorization": f"Bearer {key}", "Cookie": key})


def _arguments(stage: Stage, canary: str) -> Iterator[str]:
    """Processes of the instance that hold the canary in their arguments or environment."""
    for pid in descendants(stage.instance.process.pid):
        words = command_line(pid)
        with contextlib.suppress(OSError):
            words.append(Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace"))
        if any(canary in word for word in words):
            yield " ".join(words[:1])


async def _served(stage: Stage, owner: httpx.AsyncClient, login: str) -> list[str]:
    """Everything that tells of the channel, its owner's own pages included."""
    paths = (
        f"/live/{login}/state", "/api/v1/streams", f"/api/v1/channels/{login}", "/api/v1/me",
        "/api/v1/me/stream", "/api/v1/me/stream/health", "/api/v1/me/stream-keys", "/api/v1/me/logins",
    )  # fmt: skip
    return [(await owner.get(path)).text for path in paths]


async def _rows(stage: Stage, canary: str) -> list[str]:
    """Tables with a row that holds the canary in any column."""
    tables = await stage.rows(
        "select quote_ident(table_schema) || '.' || quote_ident(table_name) as name"
        " from information_schema.tables where table_type = 'BASE TABLE'"
        " and table_schema not in ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 10
    found = []
    for table in tables:
        # Identifiers cannot be parameters; PostgreSQL has quoted them itself.
        query = f"select count(*) as n from {table['name']} t where t::text like $1"  # noqa: S608
        if (await stage.rows(query, f"%{canary}%"))[0]["n"]:
            found.append(table["name"])
    return found


def _files(folder: Path, canary: bytes) -> Iterator[str]:
    """Files below `folder` with the canary in their name or content; PostgreSQL's and Redis's too."""
    for path in folder.rglob("*"):
        if canary in bytes(path):
            yield str(path)
        with contextlib.suppress(OSError):
            if path.is_file() and canary in path.read_bytes():
                yield str(path)
