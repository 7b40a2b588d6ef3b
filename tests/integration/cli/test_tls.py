"""TLS on a whole instance, which the tests share: an authority certifies its name, and a renewal drops neither streamer
nor reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.stage import make_channel
from cli.certificates import ensure_some
from cli.instance import free_port
from cli.toolchain import Toolchain
from core.settings import Settings
from tests.harness import SOURCE, RunningInstance, eventually, eventually_async, start_instance


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Free ports, by what is there."""
    taken: set[int] = set()
    names = ("http", "https", "rtmps", "irc", "acme", "manage", "tls_check")
    return {name: free_port(taken) for name in names}


@pytest.fixture(scope="module")
def authority(
    tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int], toolchain: Toolchain
) -> Iterator[Path]:
    """Pebble, the ACME server that Let's Encrypt tests clients with; the file that vouches for it."""
    folder = tmp_path_factory.mktemp("tls") / "authority"
    own = Settings.model_validate(
        {
            "secret_key": "-" * 32,
            "data_dir": folder,
            "public_url": "https://localhost",
            "acme_directory": "https://localhost",
        }
    )
    ensure_some(own)
    chain, key = own.certificate
    configuration = {
        "listenAddress": f"127.0.0.1:{ports['acme']}",
        "managementListenAddress": f"127.0.0.1:{ports['manage']}",
        "certificate": str(chain),
        "privateKey": str(key),
        "httpPort": ports["http"],
        "tlsPort": ports["tls_check"],
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": configuration}))
    pebble = toolchain.program("pebble")
    # It waits and refuses at random otherwise, to teach clients patience.
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(pebble.path), "-config", str(folder / "pebble.json"), "-strict"],
            env={**os.environ, **pebble.environment, **quick},
            stdout=log,
            stderr=log,
        )
    try:
        listening = b"Listening on"
        eventually(lambda: listening in (folder / "log").read_bytes(), what="pebble listens")
        yield chain
    finally:
        process.kill()
        process.wait()


def trusting(port: int, authority: Path) -> ssl.SSLContext:
    """Believes what pebble, which manages its roots at `port`, has certified."""
    roots = httpx.get(
        f"https://localhost:{port}/roots/0", verify=ssl.create_default_context(cafile=authority)
    )
    context = ssl.create_default_context(cadata=roots.text)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def served(port: int, trust: ssl.SSLContext) -> tuple[str, str | None]:
    """The certificate's serial number at a port, and the protocol chosen. Raises OSError for one not trusted."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        certificate: Any = secured.getpeercert()
        return str(certificate["serialNumber"]), secured.selected_alpn_protocol()


@contextlib.asynccontextmanager
async def irc(
    port: int, trust: ssl.SSLContext
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A reader of chat over IRC with TLS, welcomed."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trust, server_hostname="localhost"
    )
    try:
        writer.write(b"NICK justinfan1\r\n")
        async with asyncio.timeout(10):
            await reader.readuntil(b" 376 ")
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@dataclass(frozen=True)
class Secured:
    """An instance with a certificate of `authority`, and how its ports are believed."""

    instance: RunningInstance
    environment: dict[str, str]
    ports: dict[str, int]
    trust: ssl.SSLContext

    async def serial(self, name: str) -> str | None:
        """Of the certificate at a port; None while there is none to believe."""
        try:
            found, _ = await asyncio.to_thread(served, self.ports[name], self.trust)
        except OSError:
            return None
        return found

    @contextlib.asynccontextmanager
    async def streamer(self, ffmpeg: Path, key: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """An encoder that publishes over RTMPS."""
        encoder = await asyncio.create_subprocess_exec(
            *(str(ffmpeg), "-v", "error", "-re", "-f", "lavfi"),
            *("-i", "testsrc2=size=320x180:rate=15", "-c:v", "libx264", "-preset", "ultrafast"),
            *("-g", "15", "-f", "flv", "-tls_verify", "0"),
            f"rtmps://localhost:{self.ports['rtmps']}/live/{key}",
        )
        try:
            yield encoder
        finally:
            encoder.kill()
            await encoder.wait()


@pytest.fixture(scope="module")
def secured(
    authority: Path, ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    """A whole instance that asks the authority by itself."""
    environment = {
        "FOOTLIGHT_PUBLIC_URL": f"https://localhost:{ports['https']}",
        "FOOTLIGHT_HTTPS_LISTEN": f"127.0.0.1:{ports['https']}",
        "FOOTLIGHT_RTMPS_LISTEN": f"127.0.0.1:{ports['rtmps']}",
        "FOOTLIGHT_IRC_TLS_LISTEN": f"127.0.0.1:{ports['irc']}",
        "FOOTLIGHT_ACME_DIRECTORY": f"https://localhost:{ports['acme']}/dir",
        "FOOTLIGHT_ACME_CA_FILE": str(authority),
        "FOOTLIGHT_LADDER": "off",
        "FOOTLIGHT_RECORDING": "false",
    }
    data = tmp_path_factory.mktemp("secured") / "data"
    arguments = ("--http-port", str(ports["http"]))
    with start_instance(data, *arguments, environment=environment, within_s=120) as running:
        yield Secured(running, environment, ports, trusting(ports["manage"], authority))


@pytest.mark.timeout(240)
async def test_a_name_is_certified(secured: Secured, toolchain: Toolchain) -> None:
    ports, trust = secured.ports, secured.trust
    first = await eventually_async(
        lambda: secured.serial("https"), within_s=60, what="a certificate of the authority"
    )
    assert await asyncio.to_thread(served, ports["https"], trust) == (first, "h2")

    # The others load it as well.
    async def same() -> bool:
        return await secured.serial("rtmps") == first

    await eventually_async(same, within_s=30, what="RTMPS has it")
    async with httpx.AsyncClient(verify=trust) as client:
        page = await client.get(f"https://localhost:{ports['https']}/")
        assert page.headers["Strict-Transport-Security"] == "max-age=2592000"
    async with irc(ports["irc"], trust):
        pass
    async with (
        await make_channel(secured.instance.url, secured.instance.info["rtmp"]) as channel,
        secured.streamer(toolchain.ffmpeg(), channel.key),
    ):
        await channel.wait_for("live")


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_renewal_drops_nobody(secured: Secured, toolchain: Toolchain) -> None:
    first = await eventually_async(
        lambda: secured.serial("https"), within_s=60, what="a certificate of the authority"
    )
    async with (
        await make_channel(secured.instance.url, secured.instance.info["rtmp"]) as channel,
        irc(secured.ports["irc"], secured.trust) as (reader, writer),
        secured.streamer(toolchain.ffmpeg(), channel.key) as encoder,
    ):
        state = await channel.wait_for("live")
        (secured.instance.data / "tls/certificate.pem").unlink()
        given = {**secured.instance.info["environment"], **secured.environment}
        again = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cli", "certificate", "--once"),
            env={**os.environ, **given, "PYTHONPATH": str(SOURCE)},
        )
        assert await again.wait() == 0

        async def renewed() -> bool:
            return await secured.serial("https") not in (None, first)

        await eventually_async(renewed, within_s=40, what="the new certificate")
        # Both were there before the reload, and still are.
        writer.write(b"PING :still\r\n")
        async with asyncio.timeout(10):
            await reader.readuntil(b"still")
        after = await channel.state()
        assert (after["state"], after["session"]) == ("live", state["session"])
        assert encoder.returncode is None
