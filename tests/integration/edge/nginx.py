"""Real nginx instances for these tests, each in a folder of its own, and what is asked of them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.edge import workers_of
from cli import nginx as configuration
from cli.instance import free_port
from cli.toolchain import Toolchain
from tests.harness import eventually

MEDIA_TOKEN_KEY = b"media token key of the tests, 32b"
_taken_ports: set[int] = set()


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder whose sockets have short paths."""
    folder = Path(tempfile.mkdtemp(prefix="fl-edge-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass
class Nginx:
    """One nginx: started, signalled and killed by its own process group."""

    folder: Path
    # Where its log goes instead.
    output: int | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run the instance; its log goes to the file ``log``, appended."""
        program = Toolchain.from_environment().program("nginx")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                configuration.command(program.path, self.folder),
                env={**os.environ, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=self.output or log,
                stderr=self.output or log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def told(self) -> list[dict[str, Any]]:
        """The lines of the log that are objects: of requests."""
        whole = self.log.rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]

    def workers(self) -> list[int]:
        """Pids of the workers: the master has a cache manager as well."""
        assert self.process is not None
        return workers_of(self.process.pid)

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Kill master and workers: a master killed alone leaves its workers on the port."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@dataclass
class Edge:
    """An edge without anything behind it."""

    root: Path
    port: int
    nginx: Nginx
    values: configuration.EdgeNginx
    publisher: aiohttp.ClientSession = field(init=False)
    viewer: aiohttp.ClientSession = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def media(self) -> Path:
        return self.values.media_dir

    def start(self, *, told: bool = True) -> None:
        """Run nginx and wait until it answers. A killed nginx leaves its socket in the way.

        With `told` it hears that there is nothing to know yet, as from an ingest without streams.
        """
        socket_file = self.values.internal_socket
        socket_file.unlink(missing_ok=True)
        self.nginx.start()
        eventually(lambda: _answers(socket_file, "GET /healthz"), what="the edge answers")
        if told:
            assert _answers(socket_file, "PUT /told")

    async def put_playlist(
        self,
        session: str,
        rendition: str,
        *,
        msn: int,
        part: int,
        complete: int,
        number: int,
        body: str = "#EXTM3U\nwhole\n",
        delta: str = "",
        target_duration: float = 4,
        part_target: float = 0.2,
        ended: bool = False,
    ) -> None:
        """What ingest posts after each part."""
        headers = {
            "X-Msn": str(msn),
            "X-Part": str(part),
            "X-Complete-Msn": str(complete),
            "X-Part-Number": str(number),
            "X-Target-Duration": str(target_duration),
            "X-Part-Target": str(part_target),
            "X-Ended": str(int(ended)),
            "X-Delta-Length": str(len(delta.encode())),
        }
        data = (body + delta).encode()
        path = f"http://edge/playlists/{session}/{rendition}"
        async with self.publisher.put(path, data=data, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def put_session(self, session: str, template: str) -> None:
        path = f"http://edge/sessions/{session}"
        async with self.publisher.put(path, data=template.encode()) as answer:
            assert answer.status == 200, await answer.text()

    async def put_channel(self, login: str, session: str, state: str) -> None:
        path, headers = f"http://edge/channels/{login}", {"X-Session": session}
        async with self.publisher.put(path, data=state.encode(), headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def new_playback(self, login: str) -> str:
        """The playback id that a new viewer is given; the template must hold ``p={p}`` last in a line."""
        async with self.viewer.get(f"{self.url}/live/{login}/index.m3u8") as answer:
            assert answer.status == 200
            return (await answer.text()).split("p=")[1].split()[0]

    async def viewers(self) -> dict[str, int]:
        async with self.publisher.get("http://edge/viewers") as answer:
            counts: dict[str, int] = (await answer.json())["sessions"]
            return counts

    async def boot(self) -> str:
        async with self.publisher.get("http://edge/status") as answer:
            return answer.headers["X-Edge-Boot"]

    def write_media(self, session: str, name: str, data: bytes) -> None:
        """A finished file, there at once as a whole."""
        path = self.media / session / name
        path.parent.mkdir(parents=True, exist_ok=True)
        growing = path.with_name(f".{path.name}")
        growing.write_bytes(data)
        growing.rename(path)


@contextlib.asynccontextmanager
async def running_edge(*, output: int | None = None, **changes: Any) -> AsyncIterator[Edge]:
    """An edge with two workers and an empty media folder; ``changes`` are fields of EdgeNginx."""
    toolchain = Toolchain.from_environment()
    with short_folder() as root:
        for name in ("media", "web/assets"):
            (root / name).mkdir(parents=True)
        port = free_port(_taken_ports)
        values = configuration.EdgeNginx(
            **{
                "modules_dir": toolchain.nginx_modules()[0].parent,
                "lua_package_path": toolchain.lua_package_path(),
                "listen": f"127.0.0.1:{port}",
                "internal_socket": root / "internal.sock",
                "api_socket": root / "api.sock",
                "chat_sockets": (root / "chat-ws.sock",),
                "chat_http_sockets": (root / "chat.sock",),
                "media_dir": root / "media",
                "web_root": root / "web",
                "playback_key": b"playback key for the tests, 32 b",
                "media_token_key": MEDIA_TOKEN_KEY,
                "recorder_socket": root / "recorder.sock",
                "workers": 2,
                "user": "root" if os.geteuid() == 0 else None,
                **changes,
            }
        )
        server = Nginx(root / "edge", output)
        configuration.prepare(server.folder, configuration.render_edge(values))
        edge = Edge(root, port, server, values)
        edge.start()
        try:
            connector = aiohttp.UnixConnector(str(values.internal_socket))
            async with (
                aiohttp.ClientSession(connector=connector) as edge.publisher,
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(limit=0),
                    auto_decompress=False,
                    skip_auto_headers=["Accept-Encoding"],
                ) as edge.viewer,
            ):
                yield edge
            # An error of ours: a handler that died.
            assert "aborted" not in server.log, server.log
        finally:
            server.stop()


def _answers(path: Path, request: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
            client.sendall(f"{request} HTTP/1.0\r\nContent-Length: 0\r\n\r\n".encode())
            return b" 200 " in client.recv(4096)
        except (FileNotFoundError, ConnectionError):
            return False
