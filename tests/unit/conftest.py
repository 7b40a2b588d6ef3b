"""Unit tests reach nothing but memory and temporary files: connecting or listening fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest


class SocketsAreDisabled(Exception):
    """A unit test tried to use the network or a unix socket."""


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise SocketsAreDisabled("unit tests use no sockets; such a test belongs in tests/integration")


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # socketpair() stays: an event loop wakes itself with one.
    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, _refuse)
    yield
