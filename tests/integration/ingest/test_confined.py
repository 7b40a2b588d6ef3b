"""What a program can reach that ingest has started: its open files, and nginx if it is to subscribe there."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from pathlib import Path

import pytest

from ingest.confined import Launcher, Reach

PYTHON = (sys.executable, "-I", "-S", "-c")


async def run(code: str, reach: Reach, port: int = 1935) -> tuple[int, str]:
    """Exit status of Python code, and what it printed and complained of."""
    launcher = Launcher(sys.executable, f"rtmp://127.0.0.1:{port}/live")
    read, write = os.pipe()
    try:
        process = await launcher.start((*PYTHON, code), reach, stdout=write, stderr=write)
    finally:
        os.close(write)
    with os.fdopen(read) as file:
        text = await asyncio.to_thread(file.read)
    return await asyncio.to_thread(process.wait), text


def connecting(family: str, address: object) -> str:
    return f"import socket; socket.socket(socket.{family}, socket.SOCK_STREAM).connect({address!r})"


async def test_it_runs_and_knows_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTLIGHT_SECRET_KEY", "x" * 32)
    status, text = await run("import os; print(sorted(os.environ))", Reach.NOTHING)
    assert status == 0, text
    assert "PATH" in text
    assert "FOOTLIGHT" not in text


@pytest.mark.parametrize("reach", [Reach.NOTHING, Reach.RTMP])
async def test_no_file_but_the_system_s(reach: Reach, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    await asyncio.to_thread(secret.write_text, "a key")
    for path in (str(secret), "/etc/passwd", f"/proc/{os.getpid()}/environ"):
        status, text = await run(f"print(open({path!r}).read())", reach)
        assert (status, "PermissionError" in text) == (1, True), text
    for path in (str(secret), str(tmp_path / "new")):
        status, text = await run(f"open({path!r}, 'w')", reach)
        assert (status, "PermissionError" in text) == (1, True), text


async def test_no_network_but_where_it_subscribes() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as nginx,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        there, elsewhere = nginx.getsockname(), other.getsockname()
        status, text = await run(connecting("AF_INET", there), Reach.RTMP, there[1])
        assert status == 0, text
        for reach, address in ((Reach.RTMP, elsewhere), (Reach.NOTHING, there)):
            status, text = await run(connecting("AF_INET", address), reach, there[1])
            assert (status, "PermissionError" in text) == (1, True), text


@pytest.mark.parametrize("reach", [Reach.NOTHING, Reach.RTMP])
async def test_no_socket_of_ours(reach: Reach, socket_folder: Path) -> None:
    """As those of the database: Landlock knows nothing of them."""
    with socket.socket(socket.AF_UNIX) as server:
        path = str(socket_folder / "s")
        server.bind(path)
        server.listen()
        status, text = await run(connecting("AF_UNIX", path), reach)
        assert (status, "PermissionError" in text) == (1, True), text


async def test_we_keep_what_it_gave_up(tmp_path: Path) -> None:
    await run("pass", Reach.NOTHING)
    await asyncio.to_thread((tmp_path / "file").write_text, "ours")
    socket.socket(socket.AF_UNIX).close()
    assert await asyncio.to_thread((tmp_path / "file").read_text) == "ours"


async def test_memory_has_an_end() -> None:
    launcher = Launcher(sys.executable, "rtmp://127.0.0.1/live")
    process = await launcher.start((*PYTHON, "input()"), Reach.NOTHING)
    try:
        most, _ = resource.prlimit(process.pid, resource.RLIMIT_AS)
        assert 0 < most <= 8 * 1024**3
    finally:
        process.kill()
        process.wait()
