"""A closed-loop HTTP load generator: every connection sends its next request when the answer to the last is there.

One process, raw sockets, no pipelining. It keeps up with one nginx worker on another core; whether it did is for the
caller to say, from the processor time that nginx used.
"""

import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

_BUFFER = bytearray(1 << 20)


@dataclass(frozen=True)
class Result:
    """What one run saw: answers in ``seconds`` of wall time, and the size of each, header included."""

    requests: int
    seconds: float
    answer_bytes: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def request(path: str, host: str, **headers: str) -> bytes:
    """A kept-alive GET as bytes."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def hammer(
    address: tuple[str, int], requests: Sequence[bytes], connections: int, seconds: float
) -> Result:
    """Send ``requests`` in turn over ``connections`` for ``seconds``.

    All answers must be 200 and of one size, as a static file's or an unchanging playlist's are; RuntimeError if not.
    """
    size = _answer_size(address, requests[0])
    poller = selectors.EpollSelector()
    open_sockets = []
    pending: dict[int, int] = {}
    sockets: dict[int, socket.socket] = {}
    turn = 0
    for _ in range(connections):
        connection = socket.create_connection(address)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poller.register(connection, selectors.EVENT_READ)
        open_sockets.append(connection)
        sockets[connection.fileno()] = connection
        pending[connection.fileno()] = size
    answered = 0
    began = time.perf_counter()
    for connection in open_sockets:
        connection.send(requests[turn % len(requests)])
        turn += 1
    deadline = began + seconds
    # The loop below is the generator's whole cost a request: names are local, the answer is looked at once.
    poll, count, buffer = poller._selector.poll, len(requests), _BUFFER  # type: ignore[attr-defined]
    while time.perf_counter() < deadline:
        for descriptor, _ in poll(0.1):
            connection = sockets[descriptor]
            received = connection.recv_into(buffer)
            left = pending[descriptor]
            if (left == size and buffer[9:12] != b"200") or received == 0 or received > left:
                raise RuntimeError(f"unexpected answer: {bytes(buffer[:200])!r}")
            if received < left:
                pending[descriptor] = left - received
                continue
            pending[descriptor] = size
            answered += 1
            connection.send(requests[turn % count])
            turn += 1
    ended = time.perf_counter()
    for connection in open_sockets:
        connection.close()
    poller.close()
    return Result(answered, ended - began, size)


def _answer_size(address: tuple[str, int], message: bytes) -> int:
    with socket.create_connection(address) as connection:
        connection.sendall(message)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head = data.partition(b"\r\n\r\n")[0]
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"unexpected answer: {head!r}")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        return len(head) + 4 + length
