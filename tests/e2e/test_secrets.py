"""Secrets in use are nowhere to be found: no log, file, name, URL, row or argument holds one."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.rtmp import Connection, Rejected
from tests.e2e.samples import Recipe
from tests.e2e.stage import Stage, command_line, descendants, watch

pytestmark = pytest.mark.timeout(240)


async def test_secrets_are_nowhere(stage: Stage) -> None:
    """A stream key, an app token and a password, after they were used well and badly."""
    sample = Recipe(seconds=20, fps=25, channels=1).make()
    async with stage.channel() as channel:
        key = channel.key
        token = await _app_token(stage, channel.client)
        canaries = (key.rpartition("_")[2], token.rpartition("_")[2], await _password(stage))
        assert min(map(len, canaries)) >= 22
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
            await _mislaid(stage, token)
            await asyncio.sleep(3)
            arguments = list(_arguments(stage, canaries))
            pushing.cancel()
            await asyncio.gather(pushing, return_exceptions=True)
            await connection.stop()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        served = await _served(stage, channel.client, channel.login)
        served += [follower.multivariant, *(a.text for a in follower.source.playlists)]
        assert arguments == []
        assert [text for text in served if _holds(text, canaries)] == []
        assert [await _rows(stage, canary) for canary in canaries] == [[], [], []]
        folders = (stage.instance.data, stage.media, Path(stage.environment["FOOTLIGHT_RUN_DIR"]))
        found = [path for folder in folders for path in _files(folder, canaries)]
        assert found == []
        assert not _holds(stage.instance.output.read_text(), canaries)


def _holds(text: str | bytes, canaries: tuple[str, ...]) -> bool:
    content = text.encode() if isinstance(text, str) else text
    return any(canary.encode() in content for canary in canaries)


async def _app_token(stage: Stage, owner: httpx.AsyncClient) -> str:
    """One that was used in chat over IRC, and mistyped there."""
    answer = await owner.post(
        "/api/v1/me/app-tokens", json={"name": "bot", "scopes": ["chat:read"]}
    )
    answer.raise_for_status()
    token = str(answer.json()["token"])
    for sent, told in ((token, b" 001 "), (f"{token}x", b"NOTICE * ")):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.instance.info["irc_port"])
        writer.write(f"PASS oauth:{sent}\r\nNICK bot\r\nPASS {sent} {sent}\r\n".encode())
        async with asyncio.timeout(10):
            assert told in await reader.readline()
        writer.close()
    return token


async def _password(stage: Stage) -> str:
    """That of an account, which it logged in with, and mistyped."""
    login, password = f"canary_{secrets.token_hex(4)}", secrets.token_hex(16)
    async with httpx.AsyncClient(base_url=stage.http) as client:
        account = {"login": login, "email": f"{login}@example.org", "password": password}
        (await client.post("/api/v1/auth/register", json=account)).raise_for_status()
        for said, status in ((password, 200), (f"{password}x", 401)):
            answer = await client.post(
                "/api/v1/auth/login", json={"login": login, "password": said}
            )
            assert answer.status_code == status
    return password


async def _mislaid(stage: Stage, key: str) -> None:
    """Put the key where it does not belong: bodies, queries and headers end up in no log either."""
    async with httpx.AsyncClient(base_url=stage.http) as client:
        await client.post("/api/v1/auth/login", json={"login": key, "password": key})
        await client.post("/api/v1/auth/login", json={"login": "abc", key: key})
        await client.post("/api/v1/auth/forgot", json={"email": key})
        await client.get("/api/v1/streams", params={"cursor": key, "category": key})
        await client.get("/live/nobody/index.m3u8", params={"p": key, "_HLS_msn": key})
        await client.get("/api/v1/me", headers={"Authorization": f"Bearer {key}", "Cookie": key})


def _arguments(stage: Stage, canaries: tuple[str, ...]) -> Iterator[str]:
    """Processes of the instance that hold a canary in their arguments or environment."""
    for pid in descendants(stage.instance.process.pid):
        words = command_line(pid)
        with contextlib.suppress(OSError):
            words.append(Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace"))
        if any(_holds(word, canaries) for word in words):
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


def _files(folder: Path, canaries: tuple[str, ...]) -> Iterator[str]:
    """Files below `folder` with a canary in their name or content; PostgreSQL's and Redis's too."""
    for path in folder.rglob("*"):
        if _holds(bytes(path), canaries):
            yield str(path)
        with contextlib.suppress(OSError):
            if path.is_file() and _holds(path.read_bytes(), canaries):
                yield str(path)
