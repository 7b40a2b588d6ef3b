"""`footlight demo`: a moving test card with a clock and sound, pushed by RTMP as OBS would.

It goes the way of every stream: an account of its own, a stream key that is revoked at the end, the public
RTMP port.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import ffmpeg
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.users import add_user, find_for_login
from api.channels.keys import add_key, revoke_key
from cli.admin import hashed
from cli.connection import settings_for
from cli.instance import SetupError, generated_secret
from cli.probe import http_get
from cli.toolchain import Toolchain
from core.db.engine import Database, open_database
from core.db.models import Channel, Role, User
from core.derived import Purpose, derive
from core.errors import DomainError
from core.settings import Settings

LOGIN, EMAIL = "demo", "demo@localhost"
WIDTH, HEIGHT, RATE = 1280, 720, 30
LIVE_WITHIN_S = 30.0


def main(arguments: argparse.Namespace) -> int:
    """Stream until the time is over or until stopped; 1 when it cannot be done."""
    try:
        return asyncio.run(_run(settings_for(arguments), arguments.seconds))
    except (DomainError, SetupError) as problem:
        print(f"footlight: {problem}", file=sys.stderr)
        return 1


async def _run(settings: Settings, seconds: float | None) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with open_database(settings) as database, temporary_key(database, settings) as key:
        return await _push(settings, key, seconds, stopped)


@contextlib.asynccontextmanager
async def temporary_key(database: Database, settings: Settings) -> AsyncIterator[str]:
    """A stream key of the demo channel, which is made when it is missing; revoked at the end."""
    secret = generated_secret(settings.data_dir / "secrets", "demo_password")
    password_hash = await hashed(secret)
    async with database.session() as session:
        user = await _demo_user(session, password_hash)
        pepper = derive(settings, Purpose.STREAM_KEY_PEPPER)
        row, key = await add_key(session, user.id, "footlight demo", pepper)
    try:
        yield key.text
    finally:
        async with database.session() as session:
            await revoke_key(session, user.id, row.id)


async def _demo_user(session: AsyncSession, password_hash: str) -> User:
    user = await find_for_login(session, LOGIN)
    if user is not None:
        if user.email != EMAIL:
            raise SetupError(f"The account `{LOGIN}` belongs to somebody else.")
        return user
    user = await add_user(
        session, login=LOGIN, email=EMAIL, password_hash=password_hash, role=Role.CREATOR
    )
    channel = await session.get_one(Channel, user.id)
    channel.title, channel.tags = "Test card with a clock", ["demo"]
    return user


async def _push(settings: Settings, key: str, seconds: float | None, stopped: asyncio.Event) -> int:
    argv = command(
        settings.ffmpeg_path, settings.rtmp_url, key, Toolchain.from_environment().font()
    )
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "TERM", "--", *argv),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    ended = asyncio.create_task(process.communicate(), name="ffmpeg")
    asked = asyncio.create_task(stopped.wait(), name="stop")
    try:
        await _announce(settings, ended, asked)
        await asyncio.wait((ended, asked), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and not asked.done():
            raise SetupError("The stream ended:\n" + ended.result()[1].decode().replace(key, "…"))
        return 0
    finally:
        asked.cancel()
        if process.returncode is None:
            # It says goodbye to the server: viewers see the end at once.
            process.terminate()
        await ended


async def _announce(
    settings: Settings, ended: asyncio.Task[tuple[bytes, bytes]], asked: asyncio.Task[bool]
) -> None:
    """Say where the picture is once it is there."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LIVE_WITHIN_S
    print("Starting the test card …", flush=True)
    while not ended.done() and not asked.done():
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            _, body = await http_get(settings.public_url, f"/live/{LOGIN}/state")
            if json.loads(body).get("state") == "live":
                print(f"Live: {settings.public_url}/{LOGIN}\nCtrl-C stops it.", flush=True)
                return
        if loop.time() > deadline:
            raise SetupError(
                f"The stream is not live after {LIVE_WITHIN_S:.0f} s; see the logs of ingest."
            )
        await asyncio.wait((ended, asked), timeout=0.2, return_when=asyncio.FIRST_COMPLETED)


def command(program: Path, server: str, key: str, font: Path | None) -> list[str]:
    """ffmpeg's argv: test card, wall clock (where there is a font), a beep a second, to `server`.

    The key is an argument, which others on this machine could read: it is good for this channel and until the
    demo ends.
    """
    card = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={RATE}"
    picture = ffmpeg.input(card, f="lavfi", re=None)
    if font is not None:
        picture = picture.drawtext(
            text="%{localtime:%H\\:%M\\:%S.%3N}",
            escape_text=False,
            fontfile=str(font),
            fontsize=96,
            fontcolor="white",
            box=1,
            boxcolor="black@0.7",
            boxborderw=24,
            x="(w-text_w)/2",
            y="h-text_h-96",
        )
    sound = ffmpeg.input("sine=frequency=330:beep_factor=4:sample_rate=48000", f="lavfi", re=None)
    streams = ffmpeg.output(
        picture,
        sound,
        server,
        f="flv",
        rtmp_playpath=key,
        pix_fmt="yuv420p",
        **{
            "c:v": "libx264",
            "preset:v": "veryfast",
            "tune:v": "zerolatency",
            "b:v": "3000k",
            "maxrate": "3000k",
            "bufsize": "3000k",
            "g": RATE,
            "c:a": "aac",
            "b:a": "128k",
            "ac": 2,
        },
    ).global_args("-hide_banner", "-nostdin", "-loglevel", "error")
    argv: list[str] = ffmpeg.compile(streams, cmd=str(program))
    return argv
