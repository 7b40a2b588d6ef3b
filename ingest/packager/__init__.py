"""FLV in, CMAF and low-latency HLS out: pure, without sockets, files, tasks or a clock of its own.

`LiveStream` is the door; `events` is what it answers. Behind it, in the order data flows: `flv`
splits tags, `codecs` reads configuration records, `lead` and `follower` decide where segments begin,
`assembler` fills parts, `cmaf` writes them, `rendition` numbers and collects, `playlist` is the text.
"""

from .events import (
    Event,
    Expired,
    InitReady,
    OpenSegment,
    PackagerConfig,
    PartReady,
    PlaylistReady,
    SegmentReady,
    SourceChanged,
    SourceInfo,
    StreamFault,
)
from .stream import LiveStream

__all__ = [
    "Event",
    "Expired",
    "InitReady",
    "LiveStream",
    "OpenSegment",
    "PackagerConfig",
    "PartReady",
    "PlaylistReady",
    "SegmentReady",
    "SourceChanged",
    "SourceInfo",
    "StreamFault",
]
