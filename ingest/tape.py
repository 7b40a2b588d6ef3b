"""What is recorded of one broadcast: its segments as they become whole, and what they are."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from core.logs import logger
from core.spool import SOURCE_FILE, Source
from ingest.health import Warn
from ingest.kit import Kit
from ingest.packager import Event, InitReady, LiveStream, SegmentReady
from ingest.session import Phase
from ingest.spool import Recording

log = logger(__name__)

NOT_RECORDED = Warn(
    "not_recorded",
    "This broadcast is not recorded: the server has no room for another video at the moment.",
)
CUT = Warn(
    "recording_cut",
    "The recording of this broadcast has ended: the server has no room for more. You are live all the "
    "same, and what was recorded is a video.",
)


class Tape:
    """A broadcast's recording, if there is one."""

    def __init__(self, kit: Kit, session: str) -> None:
        self._kit = kit
        self._session = session
        self._recording: Recording | None = None
        #: Whether there should be one.
        self._wanted = False
        #: Whether it was ever to be seen; what was not leaves no video.
        self._aired = False
        self._identity: dict[str, Any] = {}
        #: What was ever described, by name: a rung that ended, or is not back yet, was recorded too.
        self._known: dict[str, dict[str, Any]] = {}

    def begin(self) -> None:
        """Record a new session, if there is room."""
        self._wanted = self._kit.current.now.recording
        if self._wanted:
            self._recording = self._kit.spool.begin(self._session)

    @property
    def warning(self) -> Warn | None:
        """What the streamer should know."""
        if self._recording is not None:
            return CUT if self._recording.cut else None
        return NOT_RECORDED if self._wanted else None

    def take_up(self, folder: Path, live: LiveStream, events: list[Event]) -> None:
        """Go on with the recording of an earlier life of this process.

        What is still listed may not have reached the spool: it is handed over again. `events` are yet to
        come and bring segments of their own. `folder` is the session's live media.
        """
        recording = self.take_over()
        if recording is not None:
            self._aired = True
            recording.go_on()
            self.recall(folder, live, events)

    def take_over(self) -> Recording | None:
        """The recording of an earlier life, if there was one and it has not ended."""
        self._wanted = self._kit.current.now.recording
        self._recording = self._kit.spool.take_up(self._session)
        if self._recording is not None:
            with contextlib.suppress(FileNotFoundError, ValueError):
                source = Source.decode((self._recording.folder / SOURCE_FILE).read_bytes())
                self._aired = True
                self._known = {each["name"]: dict(each) for each in source.renditions}
        return self._recording

    def recall(self, folder: Path, live: LiveStream, events: list[Event]) -> None:
        """Hand over again what is listed."""
        to_come = {(each.rendition, each.msn) for each in events if isinstance(each, SegmentReady)}
        inits: set[tuple[str, str]] = set()
        for each in live.listed():
            if (each.rendition, each.msn) in to_come:
                continue
            place = folder / each.rendition
            try:
                media = (place / each.name).read_bytes()
                if (each.rendition, each.init_name) not in inits:
                    inits.add((each.rendition, each.init_name))
                    init = (place / each.init_name).read_bytes()
                    self.store(InitReady(each.rendition, each.init_name, init))
            except FileNotFoundError:
                continue
            self.store(
                SegmentReady(
                    each.rendition, each.name, each.msn, each.duration, each.start,
                    each.program_date_time, each.discontinuity, (), each.init_name, media,
                )
            )  # fmt: skip

    def store(self, event: Event) -> None:
        """Keep what the packager made."""
        if self._recording is None:
            return
        match event:
            case SegmentReady():
                self._recording.segment(event)
            case InitReady():
                self._recording.init(event.rendition, event.name, event.data)
            case _:
                pass

    def identify(self, identity: dict[str, Any]) -> None:
        """Whose session it is, and how it stands (ingest.records.Show.identity)."""
        self._identity = identity
        started = (Phase.LIVE.value, Phase.RECONNECTING.value, Phase.RESUMING.value)
        self._aired = self._aired or identity.get("phase") in started

    def describe(self, live: LiveStream, target_s: int) -> None:
        """Write down what is recorded, as far as it is known."""
        stream_id = self._identity.get("stream_id")
        if self._recording is None or not self._aired or stream_id is None:
            return
        for each in live.variants():
            self._known[each.name] = {
                "name": each.name,
                "codecs": each.codecs,
                "width": each.width,
                "height": each.height,
                "frame_rate": round(each.frame_rate, 3),
            }
        if not self._known:
            return
        self._recording.describe(
            Source(
                session=self._session,
                stream_id=stream_id,
                channel_id=self._identity["channel_id"],
                node=self._kit.settings.node_id,
                target_s=target_s,
                renditions=tuple(self._known.values()),
            )
        )

    def end(self) -> None:
        """The broadcast is over, and everything of it was stored."""
        if self._recording is None:
            return
        if self._aired:
            self._recording.end()
        else:
            self._recording.discard()
        self._recording = None

    def leave(self, events: list[Event]) -> None:
        """The process ends: keep what the open segments hold, in case that nobody goes on."""
        if self._recording is None:
            return
        for event in events:
            if isinstance(event, SegmentReady):
                self._recording.leave(event)
