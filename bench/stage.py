"""What every benchmark of the live path needs: a channel with a stream key on a running instance, made over REST."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any, Self

import httpx


@dataclass
class Channel:
    """A channel of the instance under test, and its owner's access."""

    login: str
    key: str
    rtmp: str
    client: httpx.AsyncClient

    @property
    def publish_url(self) -> str:
        """What an encoder pushes to: server and key."""
        return f"{self.rtmp}/{self.key}"

    async def state(self) -> dict[str, Any]:
        """The channel's live state as the edge tells it."""
        answer = await self.client.get(f"/live/{self.login}/state")
        answer.raise_for_status()
        state: dict[str, Any] = answer.json()
        return state

    async def wait_for(self, wanted: str, within_s: float = 30.0) -> dict[str, Any]:
        """Wait, by the edge's long poll, until the channel's live state is ``wanted``."""
        async with asyncio.timeout(within_s):
            state = await self.state()
            while state["state"] != wanted:
                answer = await self.client.get(
                    f"/live/{self.login}/state",
                    params={"v": state["version"]},
                    timeout=within_s + 5,
                )
                state = answer.json()
        return state

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()


async def make_channel(http: str, rtmp: str, login: str | None = None) -> Channel:
    """Register an account on the instance at ``http`` and make it a stream key."""
    login = login or f"bench_{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(16)
    client = httpx.AsyncClient(base_url=http, timeout=30)
    account = {"login": login, "email": f"{login}@example.org", "password": password}
    (await client.post("/api/v1/auth/register", json=account)).raise_for_status()
    answer = await client.post("/api/v1/auth/login", json={"login": login, "password": password})
    answer.raise_for_status()
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    answer = await client.post("/api/v1/me/stream-keys", json={"name": "Bench"})
    answer.raise_for_status()
    return Channel(login, answer.json()["key"], rtmp, client)
