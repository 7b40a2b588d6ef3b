"""What a confined program can reach: nothing but what it was given."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path

import pytest

from cli.toolchain import Toolchain
from recorder.probe import command
from recorder.sandbox import Limits, TooLong, confined

SHORT = Limits(wall_s=20, cpu_s=10)
PYTHON = (sys.executable, "-I", "-S", "-c")


async def result_of(
    *words: str, limits: Limits = SHORT, pass_fds: tuple[int, ...] = ()
) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a confined program."""
    pipe = asyncio.subprocess.PIPE
    async with confined(words, limits, stdout=pipe, pass_fds=pass_fds) as running:
        assert running.stdout is not None
        out = await running.stdout.read()
        return await running.wait(), out.decode(), "\n".join(running.tail)


async def test_it_runs() -> None:
    status, out, err = await result_of(*PYTHON, "print(6 * 7)")
    assert (status, out.strip()) == (0, "42"), err


async def test_no_file_but_the_system_s(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    await asyncio.to_thread(secret.write_text, "a key")
    for path in (str(secret), "/etc/passwd", f"/proc/{os.getpid()}/environ"):
        status, out, err = await result_of("/usr/bin/cat", path)
        assert status != 0
        assert out == ""
        assert "denied" in err.lower()


async def test_it_writes_nowhere(tmp_path: Path) -> None:
    target = tmp_path / "file"
    status, _, err = await result_of("/usr/bin/touch", str(target))
    assert status != 0, err
    assert os.listdir(tmp_path) == []


async def test_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        status, _, _ = await result_of(*PYTHON, code)
        assert status != 0
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(server.accept)


async def test_no_socket_of_ours(socket_folder: Path) -> None:
    """A unix socket is no matter of a network namespace's, nor of Landlock's."""
    with socket.socket(socket.AF_UNIX) as server:
        path = str(socket_folder / "s")
        server.bind(path)
        server.listen()
        code = f"import socket; socket.socket(socket.AF_UNIX).connect({path!r})"
        status, _, err = await result_of(*PYTHON, code)
        assert (status, "PermissionError" in err) == (1, True), err


async def test_descriptors_that_were_not_named_are_closed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    await asyncio.to_thread(secret.write_text, "a key")
    with secret.open() as file:
        number = file.fileno()
        code = f"import os; print(os.read({number}, 10))"
        status, out, _ = await result_of(*PYTHON, code)
        assert (status != 0, out) == (True, "")
        status, out, err = await result_of(*PYTHON, code, pass_fds=(number,))
        assert (status, out.strip()) == (0, "b'a key'"), err


async def test_memory_and_time_have_an_end() -> None:
    small = Limits(wall_s=20, cpu_s=10, memory=256 * 1024 * 1024)
    status, _, err = await result_of(*PYTHON, "bytearray(400_000_000)", limits=small)
    assert status != 0
    assert "MemoryError" in err
    status, _, _ = await result_of(*PYTHON, "while True: pass", limits=Limits(wall_s=30, cpu_s=1))
    assert status < 0
    with pytest.raises(TooLong):
        await result_of("/usr/bin/sleep", "60", limits=Limits(wall_s=0.5, cpu_s=10))


async def test_it_ends_with_whoever_started_it() -> None:
    async with confined(("/usr/bin/sleep", "60"), SHORT) as running:
        pid = running.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{url}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{url}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    "<BaseURL>{url}</BaseURL></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("forced", [None, "hls", "mov"])
async def test_a_file_that_points_elsewhere_is_not_followed(
    kind: str, forced: str | None, tmp_path: Path, toolchain: Toolchain
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as stack:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        path = tmp_path / f"file.{kind}"
        text = PLAYLISTS[kind].format(url=f"http://127.0.0.1:{port}/a.ts", port=port)
        await asyncio.to_thread(path.write_text, text)
        file = stack.enter_context(path.open("rb"))
        words = command(str(toolchain.ffmpeg()), file.fileno(), forced)
        status, _, err = await result_of(*words, pass_fds=(file.fileno(),))
        assert status != 0
        assert "Input #0" not in err
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(server.accept)
