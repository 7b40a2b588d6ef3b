"""The media of one session: from the workers through the packager to the publisher.

Bytes are handled on the event loop, 20 times a second: a part is published within 25 ms, on average, of
its last frame. Between two inputs the packager sees one `cut`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from core.logs import logger
from core.settings import Settings
from ingest.clock import SteadyClock
from ingest.health import Sample
from ingest.inputs import DRAIN_S, Input, Inputs
from ingest.kit import AUDIO, SOURCE, Kit, Verdict
from ingest.packager import (
    Event,
    LiveStream,
    OpenSegment,
    PackagerConfig,
    PlaylistReady,
    SegmentReady,
    SourceChanged,
    SourceInfo,
    StreamFault,
)
from ingest.packager.memory import Forgotten, Notebook, restore, updated
from ingest.publisher import MediaFull, Publisher
from ingest.rungs import Rungs
from ingest.tags import Replay, Tag, TagError
from ingest.tape import Tape
from ingest.tasks import Tasks
from ingest.watch import Watch

log = logger(__name__)

STATE_FILE = "session.json"
#: The first multivariant playlist waits this long for rungs, or for the only rendition that every
#: browser plays: a player reads it once.
RUNGS_S = 1.0
COMPATIBLE_RUNG_S = 6.0
#: Faults that a new subscription may mend.
_MENDABLE = ("corrupt_flv", "not_flv", "timestamps")
#: Codecs whose headers nginx keeps for a worker that subscribes in mid-stream.
_LATE_JOINERS = ("h264", "")


@dataclass(frozen=True, slots=True)
class Memory:
    """What is written down beside the packager's own notes."""

    multivariant: str | None
    info: dict[str, Any] | None
    rungs: list[dict[str, Any]] | None
    missing: str
    transcode_audio: bool
    identity: dict[str, Any]


class Broadcast:
    """One session's media, from its first publisher to its last."""

    def __init__(self, kit: Kit, session: str, *, transcode_audio: bool = False) -> None:
        self.session = session
        self.info: SourceInfo | None = None
        self.watch = Watch(kit, session, self.now)
        self.inputs = Inputs(
            kit,
            session,
            on_data=self._on_data,
            on_closed=self._input_closed,
            can_join_late=lambda: self.can_join_late,
        )
        self.inputs.transcode_audio = transcode_audio
        self.finished = asyncio.Event()
        self.tape = Tape(kit, session)
        self._kit = kit
        self._clock = SteadyClock()
        self._tasks = Tasks()
        self._publisher = Publisher(session, kit.media, kit.edges, kit.metrics, self._segment_ready)
        live = LiveStream(packager_config(kit.settings), session)
        live.add_rendition(SOURCE, audio_only_sibling=AUDIO)
        self._use(live)
        #: What a transcoder that starts now is to be given first; None when none ever will.
        self._replay: Replay | None = Replay()
        #: Nothing of the present input has been announced yet.
        self._fresh = True
        self._listed_since: float | None = None
        self._offered_msn = self._described_msn = -1
        self._ending = False
        self._media_failed = False
        self._identity: dict[str, Any] = {}
        self._noted = False
        self._note()

    def _use(self, live: LiveStream) -> None:
        self._live = live
        self._notebook = Notebook(live)
        self._rungs = Rungs(self._kit, self.session, live, self._handle, self.now)

    def go_on(self) -> None:
        """Take up a session where an earlier life of this process left it.

        Its open segments are closed, and everything is announced again. Raises Forgotten.
        """
        folder = self._kit.media.root / self.session
        try:
            kept = read_state((folder / STATE_FILE).read_text())
            memory = Memory(**kept["session"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Forgotten(str(error)) from error
        live, events = restore(
            packager_config(self._kit.settings),
            self.session,
            kept["packager"],
            lambda rendition, name: (folder / rendition / name).read_bytes(),
        )
        self._use(live)
        self._rungs.recall(memory.rungs, memory.missing)
        self.inputs.transcode_audio = memory.transcode_audio
        self.info = SourceInfo(**memory.info) if memory.info else None
        self._publisher.multivariant(memory.multivariant)
        self.tape.take_up(folder, live, events)
        self._handle(events)

    def now(self) -> datetime:
        """The session's own wall clock."""
        return self._clock.now()

    # Packets

    def _on_data(self, source: Input, data: bytes) -> None:
        if source.failed:
            return
        # What is wrong with it the packager finds as well, and says it in words.
        with contextlib.suppress(TagError):
            self._pass_by(source, data)
        self._handle(self._live.feed(SOURCE, data, self.now()))

    def _pass_by(self, source: Input, data: bytes) -> None:
        """Health and the transcoder see each tag before the packager does."""
        now = time.monotonic()
        tags: list[Tag] = []
        for tag in source.scanner.feed(data):
            self.watch.meter.tag(tag, now)
            if self._replay is not None:
                self._replay.add(tag)
                tags.append(tag)
        if self._replay is not None:
            self._rungs.source(source.scanner.header, tags, self._replay)

    def _handle(self, events: list[Event]) -> None:
        """Publish what the packager made, and act on what it found."""
        for event in events:
            # First, and also when nothing can be published: what viewers saw of it is recorded.
            self.tape.store(event)
        if self._media_failed:
            return
        playlists: list[PlaylistReady] = []
        try:
            for event in events:
                if isinstance(event, PlaylistReady):
                    playlists.append(event)
                else:
                    self._publisher.store(event)
            if playlists:
                # Before anybody hears of it: whoever goes on from here must not contradict it.
                self._remember()
        except MediaFull as error:
            self._media_failed = True
            log.error("media_full", session=self.session, error=str(error))
            self._unusable(Verdict.END, "media_full", "The server has no room for your stream.")
            return
        for playlist in playlists:
            self._publisher.announce(playlist)
        for event in events:
            match event:
                case PlaylistReady():
                    self._listed(event)
                case SourceChanged(rendition=name) if name == SOURCE:
                    self._source_changed(event.info)
                case StreamFault():
                    self._fault(event)
                case _:
                    pass

    def _remember(self) -> None:
        """Write down what the next life of this process needs to go on with the session."""
        entry = self._notebook.entry(whole=self._noted)
        if entry is None:
            return
        if not entry.whole:
            self._kit.media.append(self.session, STATE_FILE, f"{entry.text}\n".encode())
            return
        text = f'{{"session":{self._own_notes},"packager":{entry.text}}}\n'
        self._kit.media.replace(self.session, STATE_FILE, text.encode())
        self._noted = False

    def _note(self) -> None:
        """Something of what is written down beside the packager's notes has changed."""
        memory = Memory(
            multivariant=self._publisher.offered,
            info=asdict(self.info) if self.info else None,
            rungs=self._rungs.remember(),
            missing=self._rungs.missing,
            transcode_audio=self.inputs.transcode_audio,
            identity=self._identity,
        )
        self._own_notes = json.dumps(asdict(memory))
        self._noted = True

    def remember(self, identity: dict[str, Any]) -> None:
        """Whose session this is and how it stands, to be found by the next life of this process."""
        self._identity = identity
        self.tape.identify(identity)
        self._describe()
        self._note()
        if not self._media_failed:
            with contextlib.suppress(MediaFull):
                self._remember()

    def _describe(self) -> None:
        """Say in the recording what it holds."""
        playlist = self._publisher.renditions.get(SOURCE)
        if playlist is not None:
            self.tape.describe(self._live, playlist.target_duration)

    @property
    def can_join_late(self) -> bool:
        """Whether a worker that subscribes in mid-stream is given the codec headers."""
        return (self.info.video if self.info else "") in _LATE_JOINERS

    def _listed(self, event: PlaylistReady) -> None:
        source = self.inputs.current
        if event.ended or source is None:
            return
        if event.rendition == SOURCE and event.complete_msn > self._described_msn:
            self._described_msn = event.complete_msn
            self._describe()
        # Bandwidths in it change with whole segments.
        if (self._fresh or event.complete_msn > self._offered_msn) and self._offer():
            self._offered_msn = event.complete_msn
            self._note()
            if self._fresh:
                self._fresh = False
                self._kit.host.playable(source.name)

    def _offer(self) -> bool:
        """Announce the multivariant playlist, once it is worth it; whether there is one."""
        template = self._live.multivariant()
        if template is None:
            return False
        now = time.monotonic()
        self._listed_since = self._listed_since or now
        if not self._live.ready and not self._publisher.offered:
            safe = self.info is None or self.info.browser_safe
            if now - self._listed_since < (RUNGS_S if safe else COMPATIBLE_RUNG_S):
                return False
        if not self._rungs.shrunk(self._publisher.offered, template):
            self._publisher.multivariant(template)
        return True

    def _source_changed(self, info: SourceInfo) -> None:
        self.info = info
        self._rungs.plan(info)
        if not self._rungs.wanted:
            # Nobody will ever need to join in mid-stream.
            self._replay = None
        self._note()
        self._refresh_warnings()

    def _fault(self, fault: StreamFault) -> None:
        log.warning(
            "stream_fault", session=self.session, rendition=fault.rendition, code=fault.code
        )
        source = self.inputs.current
        if fault.rendition != SOURCE:
            if fault.fatal:
                self._rungs.fail(fault.rendition)
        elif not fault.fatal:
            self.watch.fault(fault.code, fault.message)
            self._refresh_warnings()
        elif source is not None and self._mends(fault):
            source.failed = True
            self.inputs.restart(source, fault.code, fault.message)
        else:
            self._unusable(Verdict.END, fault.code, fault.message)

    def _mends(self, fault: StreamFault) -> bool:
        """Whether another subscription may help."""
        if fault.code == "audio_codec" and not self.inputs.transcode_audio:
            # CMAF cannot carry it, but ffmpeg can turn it into AAC.
            self.inputs.transcode_audio = True
            return True
        return fault.code in _MENDABLE

    def _unusable(self, verdict: Verdict, code: str, message: str) -> None:
        source = self.inputs.current
        if source is not None:
            source.failed = True
            self._kit.host.unusable(source.name, verdict, code, message)

    async def _input_closed(self) -> None:
        """Publish what the input left; the next one may begin."""
        await self._rungs.finish(DRAIN_S)
        self._handle(self._live.cut(self.now()))
        self._publisher.restarted()
        self.watch.restart()
        self._replay = Replay() if self._replay is not None else None
        self._fresh = True

    # Pictures and health

    def _segment_ready(self, segment: SegmentReady) -> None:
        """Every finished segment passes here once viewers can fetch it."""
        if segment.rendition == SOURCE and self.info is not None and self.watch.due():
            self._tasks.spawn(self.watch.photograph(segment, self.info), f"picture-{self.session}")

    @property
    def complete_msn(self) -> int:
        """The number of the source's last whole segment, -1 before the first."""
        return self._live.complete_msn

    def open_segments(self) -> list[OpenSegment]:
        """What viewers can see of the segments that are not finished."""
        return self._live.open_segments()

    def measure(self) -> Sample | None:
        """Condense the last seconds into a sample; None while nothing is connected."""
        if self.inputs.current is None:
            return None
        sample = self.watch.measure(self.info)
        if sample is not None:
            self._rungs.check()
            self._refresh_warnings()
            excess = self.watch.excess(sample)
            if excess is not None:
                self._unusable(Verdict.END, excess.code, excess.message)
        return sample

    def _refresh_warnings(self) -> None:
        self.watch.refresh(self.info, self._rungs.missing, self.tape.warning)

    def renditions(self) -> list[dict[str, Any]]:
        """What viewers may choose from, for the database."""
        heard = self.info is not None and self.info.audio
        return [
            {"name": SOURCE, "transcoded": False},
            *self._rungs.describe(),
            *([{"name": AUDIO, "transcoded": False}] if heard else []),
        ]

    # The end

    def end(self) -> None:
        """No publisher will come any more: end the playlists once everything is published."""
        if not self._ending:
            self._ending = True
            self.inputs.end()
            self._tasks.spawn(self._finish(), f"finish-{self.session}")

    async def _finish(self) -> None:
        await self.inputs.wait()
        self._handle(self._live.end(self.now()))
        self._describe()
        self.tape.end()
        self.finished.set()

    def withdraw(self, *covers: str) -> None:
        """Remove the media, after their window."""
        self._publisher.withdraw(*covers)

    async def close(self) -> None:
        """Stop everything where it stands, for another life of this service to go on from."""
        await self.inputs.close()
        await self._tasks.close()
        await self._rungs.close()
        self.tape.leave(self._live.end(self.now()))


def read_state(text: str) -> dict[str, Any]:
    """What STATE_FILE says: its first line, brought up to date by the others. Raises ValueError.

    A line is added with every part; one that its writer died over has no end and does not count.
    """
    first, *lines = text.split("\n")
    state: dict[str, Any] = json.loads(first)
    for line in lines[:-1]:
        state["packager"] = updated(state["packager"], json.loads(line))
    return state


def packager_config(settings: Settings) -> PackagerConfig:
    """What the settings say of packaging."""
    return PackagerConfig(
        part_target_s=settings.part_target_s,
        segment_target_s=settings.segment_target_s,
        window_s=settings.media_window_s,
    )
