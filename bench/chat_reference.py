"""What chat's fan-out is compared with: the same payload to as many sockets, without rooms, rules or Redis.

`python -m bench.chat_reference broadcast|raw SOCKET SOCKETS RATE SECONDS BYTES` prints `{"cpu_s", "deliveries"}`.
`broadcast` is websockets' own function, `raw` one write of a ready frame per message and socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, unix_serve

from chat.wire import framed


async def measure(
    kind: str, path: str, sockets: int, rate: float, seconds: float, size: int
) -> None:
    """Serve until all sockets are there, send, and say what it took."""
    connections: set[ServerConnection] = set()
    complete = asyncio.Event()

    async def serve(connection: ServerConnection) -> None:
        await connection.send("raw")
        connections.add(connection)
        if len(connections) == sockets:
            complete.set()
        await connection.wait_closed()

    async with unix_serve(serve, path, compression=None, ping_interval=None, close_timeout=0.2):
        print("ready", flush=True)
        await complete.wait()
        text = json.dumps({"type": "message", "offset": 1, "text": "x" * (size - 45)})
        frame = framed(text.encode())

        def send_raw() -> None:
            for connection in connections:
                connection.transport.write(frame)

        send: Callable[[], None] = (
            (lambda: broadcast(connections, text)) if kind == "broadcast" else send_raw
        )
        # What the sockets' opening still costs is not to be counted.
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        began, cpu = loop.time(), time.process_time()
        total = int(rate * seconds)
        for number in range(total):
            wait = began + number / rate - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            send()
        await asyncio.sleep(0.2)
        spent = time.process_time() - cpu
    print(json.dumps({"cpu_s": spent, "deliveries": total * sockets}), flush=True)


if __name__ == "__main__":
    name, where, *numbers = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(
            measure(
                name, where, int(numbers[0]), float(numbers[1]), float(numbers[2]), int(numbers[3])
            )
        )
