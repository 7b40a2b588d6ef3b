"""Simulated LL-HLS viewers: each holds a blocking reload, and fetches every part over another
connection.

They do what hls.js does: the next reload leaves as soon as a playlist has arrived, and with it the
request for the part that the playlist named. One process plays many viewers over epoll; the bytes of
a part are counted but not copied, so that on a small machine the viewers cost less than the server
under test. A part's lateness is the time from its publication to the arrival of its last byte.
"""

import contextlib
import multiprocessing
import re
import select
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

# Unix seconds at which the part of a URI was published; None where it is not known.
Published = Callable[[str], float | None]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEADERS = b" HTTP/1.1\r\nHost: edge\r\nAccept-Encoding: gzip\r\n\r\n"
_HEADER_ROOM = 2048
_GZIP = 31
_RECEIVE_BUFFER = 1 << 20
# Edge-triggered: every read takes all there is, so nothing needs to be looked at twice.
_READABLE = select.EPOLLIN | select.EPOLLET
_REMEMBERED = 500
# So long those stay who last.
STAY_S = 5.0


@dataclass
class Outcome:
    """What viewers saw. Lateness in seconds, a figure for each part (playlist) of each viewer."""

    viewers: int = 0
    playlists: int = 0
    parts: int = 0
    part_bytes: int = 0
    skipped_parts: int = 0
    cpu_s: float = 0.0
    errors: list[str] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    playlist_lateness: list[float] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Take another group's figures into this one."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Position:
    """What the reader of a playlist asks for next, and the newest parts it names: number and URI,
    oldest first.
    """

    msn: int
    part: int
    parts: tuple[tuple[int, str], ...]


def read_position(text: str) -> Position:
    """Where a playlist, whole or delta, stands. Raises ValueError for one without parts."""
    sequence = segments = part = 0
    parts = []
    for line in text.splitlines():
        if line.startswith("#EXT-X-PART:"):
            uri = line.partition('URI="')[2].partition('"')[0]
            parts.append((int(uri.rpartition("-")[2].partition(".")[0]), uri))
            part += 1
        elif line.startswith("#EXTINF"):
            segments, part = segments + 1, 0
        elif line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
            sequence = int(line.partition(":")[2])
        elif line.startswith("#EXT-X-SKIP:"):
            segments += int(line.partition("SKIPPED-SEGMENTS=")[2].partition(",")[0])
    if not parts:
        raise ValueError("a playlist without parts")
    return Position(sequence + segments, part, tuple(parts[-16:]))


class _Connection:
    """One of a viewer's two: at most one request at a time."""

    __slots__ = ("asked", "head", "is_media", "left", "size", "socket", "viewer")

    def __init__(self, viewer: "_Viewer", is_media: bool, address: tuple[str, int]) -> None:
        self.viewer = viewer
        self.is_media = is_media
        self.socket = socket.socket()
        if is_media:
            # A part is to fit into the window: segments are 64 KB on loopback, and a full window
            # would end in the sender's persist timer, which no network would show.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.asked = ""
        self.head = b""
        self.left = self.size = 0


class _Viewer:
    __slots__ = ("base", "media", "newest", "path", "query", "reload", "waiting")

    def __init__(self, address: tuple[str, int], path: str) -> None:
        self.path = path
        base, _, playback = path.partition("index.m3u8?")
        self.base = f"GET {base}".encode()
        self.query = f"GET {base}index.m3u8?{playback}".encode()
        self.reload = _Connection(self, False, address)
        self.media = _Connection(self, True, address)
        self.newest = -1
        self.waiting: list[str] = []


class Crowd:
    """The viewers of one process; ``paths`` are their media playlists' paths, playback id included.

    Who sees an error gives up. ``lasting`` ones begin anew, as a page does that is loaded again, and stay for
    a moment after the last round.
    """

    def __init__(
        self,
        address: tuple[str, int],
        paths: Sequence[str],
        published: Published,
        lasting: bool = False,
    ) -> None:
        self._address = address
        self._lasting = lasting
        self._returning: dict[str, _Viewer] = {}
        self._poll = select.epoll()
        self._published = published
        self._times: dict[str, float | None] = {}
        self._read: dict[bytes, tuple[Position, bytes]] = {}
        self._connections: dict[int, _Connection] = {}
        self._buffer = bytearray(1 << 20)
        self._counting = False
        self._outcome = Outcome(viewers=len(paths))
        self._paths = paths

    def _enter(self, path: str) -> None:
        viewer = _Viewer(self._address, path)
        for connection in (viewer.reload, viewer.media):
            self._connections[connection.socket.fileno()] = connection
            self._poll.register(connection.socket, _READABLE)
        viewer.reload.socket.send(viewer.query + _HEADERS)

    def watch(self, begin: float, ends: Sequence[float]) -> Iterator[Outcome]:
        """Watch in rounds that end at ``ends``: an outcome each, of what arrived from ``begin`` or the
        round before on. Unix seconds.
        """
        for path in self._paths:
            self._enter(path)
        self._until(begin)
        self._counting = True
        for end in ends:
            cpu = time.process_time()
            self._until(end)
            outcome, self._outcome = self._outcome, Outcome(viewers=len(self._paths))
            outcome.cpu_s = time.process_time() - cpu
            yield outcome
        if self._lasting:
            self._until(ends[-1] + STAY_S)
        for connection in self._connections.values():
            connection.socket.close()
        self._poll.close()

    def _until(self, end: float) -> None:
        while time.time() < end:
            for descriptor, _ in self._poll.poll(0.2, 512):
                connection = self._connections[descriptor]
                try:
                    self._receive(connection)
                except (OSError, ValueError) as error:
                    self._give_up(connection, repr(error))
            # Only now, when no event is left that could be of an old socket with the number of a new one.
            for viewer in list(self._returning.values()):
                viewer.reload.socket.close()
                viewer.media.socket.close()
                with contextlib.suppress(OSError):
                    self._enter(viewer.path)
                    del self._returning[viewer.path]

    def _receive(self, connection: _Connection) -> None:
        if connection.left:
            self._drop_body(connection)
            return
        received = connection.socket.recv_into(
            self._buffer, _HEADER_ROOM if connection.is_media else 0
        )
        if not received:
            raise OSError("closed")
        data = connection.head + self._buffer[:received]
        end = data.find(b"\r\n\r\n") + 4
        length = _LENGTH.search(data, 0, end) if end > 3 else None
        if not length or (not connection.is_media and len(data) < end + int(length[1])):
            connection.head = data
            return
        connection.head = b""
        if data[9:12] != b"200":
            raise ValueError(f"{data[9:12].decode()} for {connection.asked}")
        if not connection.is_media:
            self._playlist_arrived(connection, bytes(data[end:]))
            return
        connection.size = int(length[1])
        connection.left = connection.size - (len(data) - end)
        with contextlib.suppress(BlockingIOError):
            self._drop_body(connection)

    def _drop_body(self, connection: _Connection) -> None:
        # Counted and dropped inside the kernel: recv(2), tcp(7).
        if connection.left:
            received = connection.socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
            connection.left -= received
            if not received:
                raise OSError("closed in the middle of a part")
        if not connection.left:
            self._part_arrived(connection)

    def _playlist_arrived(self, connection: _Connection, body: bytes) -> None:
        viewer, now = connection.viewer, time.time()
        known = self._read.get(body)
        if known is None:
            known = self._read_playlist(body)
        position, rest = known
        connection.asked = rest.decode(errors="replace")
        connection.socket.send(viewer.query + rest)
        newest, uri = position.parts[-1]
        if self._counting:
            self._outcome.playlists += 1
            when = self._when(uri)
            if when is not None and newest > viewer.newest:
                self._outcome.playlist_lateness.append(now - when)
        if viewer.newest < 0:
            viewer.waiting.append(uri)
        elif newest > viewer.newest:
            fresh = [name for number, name in position.parts if number > viewer.newest]
            self._outcome.skipped_parts += newest - viewer.newest - len(fresh)
            viewer.waiting += fresh
        viewer.newest = newest
        if not viewer.media.asked:
            self._ask_for_part(viewer)

    def _read_playlist(self, body: bytes) -> tuple[Position, bytes]:
        text = zlib.decompress(body, _GZIP) if body[:2] == b"\x1f\x8b" else body
        position = read_position(text.decode())
        rest = f"&_HLS_msn={position.msn}&_HLS_part={position.part}&_HLS_skip=YES".encode()
        if len(self._read) >= _REMEMBERED:
            self._read.clear()
        self._read[body] = position, rest + _HEADERS
        return self._read[body]

    def _ask_for_part(self, viewer: _Viewer) -> None:
        media = viewer.media
        media.asked = viewer.waiting.pop(0) if viewer.waiting else ""
        if media.asked:
            media.socket.send(viewer.base + media.asked.encode() + _HEADERS)

    def _part_arrived(self, connection: _Connection) -> None:
        now = time.time()
        if self._counting:
            self._outcome.parts += 1
            self._outcome.part_bytes += connection.size
            when = self._when(connection.asked)
            if when is not None:
                self._outcome.lateness.append(now - when)
        self._ask_for_part(connection.viewer)

    def _when(self, uri: str) -> float | None:
        if uri not in self._times:
            if len(self._times) >= _REMEMBERED:
                self._times.clear()
            self._times[uri] = self._published(uri)
        return self._times[uri]

    def _give_up(self, connection: _Connection, reason: str) -> None:
        self._outcome.errors.append(reason)
        for each in (connection.viewer.reload, connection.viewer.media):
            # Already gone when both of a viewer's connections fail in one round.
            with contextlib.suppress(OSError, ValueError):
                self._poll.unregister(each.socket)
        if self._lasting:
            self._returning[connection.viewer.path] = connection.viewer


def by_file_time(folder: Path) -> Published:
    """Publication times from the part files in the media folder of a rendition on this machine."""

    def published(uri: str) -> float | None:
        try:
            return (folder / uri).stat().st_mtime_ns / 1e9
        except FileNotFoundError:
            return None

    return published


@dataclass
class Audience:
    """Groups of viewers, each in a process of its own."""

    processes: Sequence[tuple[multiprocessing.process.BaseProcess, Connection]]

    def round(self) -> Outcome:
        """Wait for the end of a round; what all groups saw in it together."""
        total = Outcome()
        for _, results in self.processes:
            total.add(results.recv())
        total.lateness.sort()
        total.playlist_lateness.sort()
        return total

    def outcome(self) -> Outcome:
        """Wait for the end of the last round; what all groups saw in it together."""
        total = self.round()
        for process, _ in self.processes:
            process.join()
        return total


def gather(
    address: tuple[str, int],
    paths: Sequence[str],
    groups: int,
    warm_up_s: float,
    seconds: float,
    folder: Path,
) -> Audience:
    """Start viewers of ``paths`` in ``groups`` processes: they watch for ``seconds`` after warming
    up. ``folder`` holds the rendition's part files.
    """
    begin = time.time() + warm_up_s
    return gather_rounds(address, paths, groups, begin, (begin + seconds,), folder, lasting=False)


def gather_rounds(
    address: tuple[str, int],
    paths: Sequence[str],
    groups: int,
    begin: float,
    ends: Sequence[float],
    folder: Path,
    lasting: bool = True,
) -> Audience:
    """Start viewers of ``paths`` in ``groups`` processes: they watch now, and say at each of ``ends`` what
    they saw since the one before, first since ``begin``. Unix seconds.
    """
    context = multiprocessing.get_context("spawn")
    started = []
    for group in range(groups):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_watch,
            args=(theirs, address, list(paths[group::groups]), begin, ends, folder, lasting),
            daemon=True,
        )
        process.start()
        started.append((process, ours))
    return Audience(started)


def _watch(
    results: Connection,
    address: tuple[str, int],
    paths: Sequence[str],
    begin: float,
    ends: Sequence[float],
    folder: Path,
    lasting: bool,
) -> None:
    for outcome in Crowd(address, paths, by_file_time(folder), lasting).watch(begin, ends):
        results.send(outcome)


def percentile(figures: Sequence[float], share: float) -> float:
    """The figure below which ``share`` of the sorted ``figures`` lie; NaN when there are none."""
    return figures[min(len(figures) - 1, int(share * len(figures)))] if figures else float("nan")
