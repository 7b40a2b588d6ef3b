"""TLS on a whole instance: an authority certifies its name, and a renewal drops neither streamer nor reader."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.stage import make_channel
from cli.certificates import ensure_some
from cli.instance import free_port
from cli.toolchain import Toolchain
from core.settings import Settings
from tests.harness import SOURCE, RunningInstance, eventually, eventually_async


@pytest.fixture
def ports() -> dict[str, int]:
    """Free ports, by what is there."""
    taken: set[int] = set()
    names = ("http", "https", "rtmps", "irc", "acme", "manage", "tls_check")
    return {name: free_port(taken) for name in names}


@pytest.fixture
def authority(tmp_path: Path, ports: dict[str, int], toolchain: Toolchain) -> Iterator[Path]:
    """Pebble, the ACME server that Let's Encrypt tests clients with; the file that vouches for it."""
    folder = tmp_path / "authority"
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


async def irc(
    port: int, trust: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A reader of chat over IRC with TLS, welcomed."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=trust, server_hostname="localhost"
    )
    writer.write(b"NICK justinfan1\r\n")
    async with asyncio.timeout(10):
        await reader.readuntil(b" 376 ")
    return reader, writer


@pytest.mark.timeout(300)
async def test_a_name_is_certified_and_renewed_while_a_stream_runs(
    make_instance: Callable[..., RunningInstance],
    authority: Path,
    ports: dict[str, int],
    toolchain: Toolchain,
) -> None:
    environment = {
        "FOOTLIGHT_PUBLIC_URL": f"https://localhost:{ports['https']}",
        "FOOTLIGHT_HTTPS_LISTEN": f"127.0.0.1:{ports['https']}",
        "FOOTLIGHT_RTMPS_LISTEN": f"127.0.0.1:{ports['rtmps']}",
        "FOOTLIGHT_IRC_TLS_LISTEN": f"127.0.0.1:{ports['irc']}",
        "FOOTLIGHT_ACME_DIRECTORY": f"https://localhost:{ports['acme']}/dir",
        "FOOTLIGHT_ACME_CA_FILE": str(authority),
        "FOOTLIGHT_LADDER": "off",
    }
    instance = make_instance(
        "--http-port", str(ports["http"]), environment=environment, within_s=120
    )
    trust = await asyncio.to_thread(trusting, ports["manage"], authority)

    async def certified() -> tuple[str, str | None] | None:
        try:
            return await asyncio.to_thread(served, ports["https"], trust)
        except OSError:
            return None

    first = await eventually_async(certified, within_s=40, what="a certificate of the authority")
    assert first is not None and first[1] == "h2"
    # The others load it as well.
    await eventually_async(lambda: _same(ports["rtmps"], trust, first[0]), what="RTMPS has it")
    async with httpx.AsyncClient(verify=trust) as client:
        page = await client.get(f"https://localhost:{ports['https']}/")
        assert page.headers["Strict-Transport-Security"] == "max-age=2592000"

    channel = await make_channel(instance.url, instance.info["rtmp"])
    reader, writer = await irc(ports["irc"], trust)
    target = f"rtmps://localhost:{ports['rtmps']}/live/{channel.key}"
    encoder = await asyncio.create_subprocess_exec(
        *(str(toolchain.ffmpeg()), "-v", "error", "-re", "-f", "lavfi"),
        *("-i", "testsrc2=size=320x180:rate=15", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-g", "15", "-f", "flv", "-tls_verify", "0", target),
    )
    try:
        state = await channel.wait_for("live")
        (instance.data / "tls/certificate.pem").unlink()
        again = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "cli", "certificate", "--once"),
            env={
                **os.environ,
                **instance.info["environment"],
                **environment,
                "PYTHONPATH": str(SOURCE),
            },
        )
        assert await again.wait() == 0

        async def renewed() -> bool:
            found = await certified()
            return found is not None and found[0] != first[0]

        await eventually_async(renewed, within_s=40, what="the new certificate")
        # Both were there before the reload, and still are.
        writer.write(b"PING :still\r\n")
        async with asyncio.timeout(10):
            await reader.readuntil(b"still")
        after = await channel.state()
        assert (after["state"], after["session"]) == ("live", state["session"])
        assert encoder.returncode is None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        encoder.kill()
        await encoder.wait()


async def _same(port: int, trust: ssl.SSLContext, serial: str) -> bool:
    try:
        found, _ = await asyncio.to_thread(served, port, trust)
    except OSError:
        return False
    return found == serial
