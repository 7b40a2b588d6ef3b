"""The spool: finished segments on their way from ingest to the object storage, as files.

    <session>/source.json               what is recorded (Source)
    <session>/<rendition>/<init name>   initialization sections
    <session>/<rendition>/<msn>.m4s     a segment
    <session>/<rendition>/<msn>.json    and its note (SegmentNote): it is whole
    <session>/end.json                  nothing will follow (End)

Everything comes into being by a rename, so a file that is there is whole. The files are the truth of
what is still to be done; recorder removes a segment once the storage has it and the database knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

SOURCE_FILE = "source.json"
END_FILE = "end.json"
#: The open segment of a session whose ingest stopped, in case that nobody goes on with it.
OPEN = ".open"
#: A file that is not whole yet.
PARTIAL = "~"


@dataclass(frozen=True, slots=True)
class SegmentNote:
    """A segment. `start_s` is the rendition's own media time, `pdt` the wall clock there."""

    msn: int
    start_s: float
    duration_s: float
    pdt: datetime
    discontinuity: bool
    init: str
    size: int
    sha256: str

    def encode(self) -> bytes:
        """JSON."""
        return json.dumps({**asdict(self), "pdt": self.pdt.isoformat()}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The note in a file. Raises ValueError."""
        try:
            kept = json.loads(data)
            return cls(**{**kept, "pdt": datetime.fromisoformat(kept["pdt"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a segment's note: {error!r}") from error


@dataclass(frozen=True, slots=True)
class End:
    """Why nothing will follow: the broadcast is over, or its recording was `cut` for want of room."""

    cut: bool = False

    def encode(self) -> bytes:
        """JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The end in a file. Raises ValueError."""
        try:
            return cls(**json.loads(data))
        except TypeError as error:
            raise ValueError(f"not an end: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Source:
    """What a session's spool holds. `renditions`: {name, codecs, width, height, frame_rate}."""

    session: str
    stream_id: int
    channel_id: int
    node: str
    target_s: int
    renditions: tuple[Mapping[str, Any], ...]

    def encode(self) -> bytes:
        """JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The description in a file. Raises ValueError."""
        try:
            kept = json.loads(data)
            return cls(**{**kept, "renditions": tuple(kept["renditions"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a source's description: {error!r}") from error
