"""Many plain HTTP clients in one thread, cheap enough to time answers by: raw sockets and epoll."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Client:
    """One connection with one request; follows a redirect to the same place, as browsers do."""

    path: str
    socket: socket.socket
    data: bytes = b""
    status: int = 0
    answered_at: float = 0.0
    redirects: int = 0


@dataclass
class Crowd:
    """Clients that send their requests at once. Use as a context manager."""

    port: int
    paths: list[str]
    clients: list[Client] = field(default_factory=list)

    def __enter__(self) -> Crowd:
        self._poll = select.epoll()
        self._waiting: dict[int, Client] = {}
        for path in self.paths:
            client = Client(path, socket.socket())
            self.clients.append(client)
            self._send(client)
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.socket.close()
        self._poll.close()

    @property
    def unanswered(self) -> int:
        return len(self._waiting)

    def statuses(self) -> Counter[int]:
        """How many got which status; 0 for those whose connection was closed without an answer."""
        return Counter(client.status for client in self.clients)

    def lateness(self, since: float) -> list[float]:
        """Seconds from ``since`` (monotonic) to each answer, sorted."""
        return sorted(client.answered_at - since for client in self.clients)

    def run(self, within_s: float, *, held: int = 0) -> Crowd:
        """Take in answers until all but those that are held are there, or the time is over."""
        deadline = time.monotonic() + within_s
        while len(self._waiting) > held and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in self._poll.poll(left):
                self._receive(self._waiting[descriptor])
        return self

    def _send(self, client: Client) -> None:
        client.data = b""
        client.socket.connect(("127.0.0.1", self.port))
        client.socket.send(f"GET {client.path} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
        self._waiting[client.socket.fileno()] = client
        self._poll.register(client.socket, select.EPOLLIN)

    def _receive(self, client: Client) -> None:
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = client.socket.recv(65536)
        client.data += received
        if received and not _is_whole(client.data):
            return
        self._poll.unregister(client.socket)
        del self._waiting[client.socket.fileno()]
        client.status = int(client.data[9:12] or 0)
        client.answered_at = time.monotonic()
        if client.status == 307:
            client.socket.close()
            client.socket = socket.socket()
            client.redirects += 1
            self._send(client)


def _is_whole(data: bytes) -> bool:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    lengths = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    return not lengths or len(body) >= lengths[0]
