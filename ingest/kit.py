"""What all broadcasts share, and what they ask of the one who runs them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from core.instance_settings import CurrentSettings
from core.settings import Settings
from ingest.confined import Launcher
from ingest.edge import Edges
from ingest.machine import Machine
from ingest.metrics import IngestMetrics
from ingest.nginx import IngestNginx
from ingest.publisher import MediaFolder
from ingest.spool import Spool
from ingest.thumbnails import Photographer

#: Names of the renditions that are not rungs.
SOURCE = "source"
AUDIO = "audio"


class Verdict(Enum):
    """What becomes of a session whose input cannot be used."""

    DROP = "drop"
    END = "end"


class Host(Protocol):
    """What a broadcast asks of the one who runs it."""

    def playable(self, name: str) -> None:
        """The input `name` has given viewers something to play."""

    def unusable(self, name: str, verdict: Verdict, code: str, message: str) -> None:
        """The input `name` cannot go on."""

    def lost(self, name: str) -> None:
        """nginx no longer has the input `name`, or is gone itself."""

    def warned(self, session: str) -> None:
        """The warnings of a session changed."""


@dataclass(slots=True)
class Kit:
    """What all broadcasts share."""

    settings: Settings
    current: CurrentSettings
    media: MediaFolder
    spool: Spool
    edges: Edges
    nginx: IngestNginx
    machine: Machine
    photographer: Photographer
    launcher: Launcher
    metrics: IngestMetrics
    host: Host
