"""A private instance of Footlight in a temporary folder, on free ports, for one benchmark."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli import toolchain

READY_DEADLINE_S = 60.0
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Instance:
    """Where the instance answers, read from its instance.json."""

    data: Path
    facts: dict[str, Any]
    ffmpeg: str
    chromium: str

    @property
    def http(self) -> str:
        return str(self.facts["http"])

    @property
    def rtmp(self) -> str:
        return str(self.facts["rtmp"])

    @property
    def rtmp_port(self) -> int:
        return int(self.rtmp.split(":")[2].split("/")[0])

    def pid(self, service: str) -> int:
        """The process id of one of our services or servers."""
        return int(self.facts["services"][service]["pid"])
