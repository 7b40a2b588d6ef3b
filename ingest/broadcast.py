"""The media of one session: from the workers through the packager to the publisher.

Inputs come one after another (a reconnect, a takeover, a worker that died); each waits until the one
before it is drained and its last part published, so that the packager sees them in order with one
`cut` between two. Bytes are handled on the event loop as they arrive: a part is published within a
millisecond or two of its last frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from core.errors import Unavailable
from core.logs import logger
from core.settings import Settings
from ingest.clock import SteadyClock
from ingest.edge import Edges
from ingest.health import Meter, Sample, Warn, advise
from ingest.ladder import NO_HEADROOM
from ingest.machine import Machine
from ingest.metrics import IngestMetrics
from ingest.nginx import IngestNginx
from ingest.packager import (
    Event,
    LiveStream,
    PackagerConfig,
    PlaylistReady,
    SegmentReady,
    SourceChanged,
    SourceInfo,
    StreamFault,
)
from ingest.packager.memory import Forgotten, Notebook, restore
from ingest.publisher import MediaFolder, MediaFull, Publisher
from ingest.rungs import Rungs
from ingest.tags import Replay, Tag, TagError, TagScanner
from ingest.tasks import Tasks
from ingest.thumbnails import FILE_NAME, Photographer
from ingest.worker import Worker

log = logger(__name__)

STATE_FILE = "session.json"
SOURCE = "source"
AUDIO = "audio"
#: A worker that has not subscribed by then will not.
SUBSCRIBE_S = 5.0
#: How long the last packets may take from nginx through ffmpeg to us once the publisher is gone.
DRAIN_S = 0.3
#: An input that ends is given this long for the hook that explains it.
EXPLAIN_S = 0.5
#: Restarts of a worker within a minute; beyond them the publisher is dropped instead.
MAX_RESTARTS = 5
RESTART_WINDOW_S = 60.0
#: The first multivariant playlist waits this long for rungs, or for the only rendition that every
#: browser plays: a player reads it once.
RUNGS_S = 1.0
COMPATIBLE_RUNG_S = 6.0
#: An input that was heard of so lately is there, whatever else is not.
FLOWING_S = 3.0
#: How much of a segment is looked at for its picture and its loudness: about a second.
LOOKED_AT_PARTS = 4
#: A passing fault is shown to the streamer this long.
FAULT_SHOWN_S = 30.0
#: Codecs whose headers nginx keeps for a worker that subscribes in mid-stream.
_LATE_JOINERS = ("h264", "")


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
    media: MediaFolder
    edges: Edges
    nginx: IngestNginx
    machine: Machine
    photographer: Photographer
    metrics: IngestMetrics
    host: Host


@dataclass(slots=True)
class Input:
    """One subscription. `over` once the session has let go of it, `closed` once it is published."""

    name: str
    worker: Worker
    scanner: TagScanner = field(default_factory=TagScanner)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What is written down beside the packager's own notes."""

    multivariant: str | None
    info: dict[str, Any] | None
    rungs: list[dict[str, Any]] | None
    missing: str
    transcode_audio: bool
    identity: dict[str, Any]


@dataclass(slots=True)
class Starting:
    """A worker whose process is being made: what nginx and the session have said of it meanwhile."""

    client: int | None = None
    over: bool = False


class Broadcast:
    """One session's media, from its first publisher to its last."""

    def __init__(self, kit: Kit, session: str, *, transcode_audio: bool = False) -> None:
        self.session = session
        self.transcode_audio = transcode_audio
        self.info: SourceInfo | None = None
        self.sample: Sample | None = None
        self.thumbnail_at: datetime | None = None
        self.warnings: list[Warn] = []
        self.tasks = Tasks()
        self.finished = asyncio.Event()
        self._kit = kit
        self._clock = SteadyClock()
        live = LiveStream(_packager_config(kit.settings), session)
        live.add_rendition(SOURCE, audio_only_sibling=AUDIO)
        self._publisher = Publisher(session, kit.media, kit.edges, kit.metrics, self._segment_ready)
        self._use(live)
        self._inputs: deque[Input] = deque()
        self._starting: dict[str, Starting] = {}
        self._meter = Meter()
        self._replay: Replay | None = Replay()
        self._faults: dict[str, tuple[float, Warn]] = {}
        self._restarts: deque[float] = deque()
        self._fresh = True
        self._listed_since: float | None = None
        self._offered_msn = -1
        self._heard_at = 0.0
        self._photographed: float | None = None
        self._inits: dict[str, bytes] = {}
        self._ending = False
        self._media_failed = False
        self._identity: dict[str, Any] = {}
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
            kept = json.loads((folder / STATE_FILE).read_text())
            memory = Memory(**kept["session"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Forgotten(str(error)) from error
        live, events = restore(
            _packager_config(self._kit.settings),
            self.session,
            kept["packager"],
            lambda rendition, name: (folder / rendition / name).read_bytes(),
        )
        self._use(live)
        self._rungs.recall(memory.rungs, memory.missing)
        self.transcode_audio = memory.transcode_audio
        self.info = SourceInfo(**memory.info) if memory.info else None
        self._publisher.multivariant(memory.multivariant)
        self._handle(events)

    def now(self) -> datetime:
        """The session's own wall clock."""
        return self._clock.now()

    # Inputs

    async def connect(self, name: str) -> None:
        """Subscribe to the stream `name` and return once nginx will send it everything.

        Raises Unavailable.
        """
        if self._ending:
            raise Unavailable("The stream has ended.")
        # On a busy machine ffmpeg is at nginx's door before we hear that it has been started.
        starting = self._starting[name] = Starting()
        try:
            worker = await Worker.start(
                str(self._kit.settings.ffmpeg_path),
                self._kit.settings.ingest_pull_url,
                name,
                self._on_data,
                transcode_audio=self.transcode_audio,
                on_late_track=lambda: self._late_track(name),
            )
        except OSError as error:
            raise Unavailable("The media worker could not be started.") from error
        finally:
            del self._starting[name]
        source = Input(name, worker)
        if starting.client is not None:
            worker.joins(starting.client)
        if starting.over or self._ending:
            source.over.set()
        self._inputs.append(source)
        self.tasks.spawn(self._run_input(source), f"input-{name}")
        try:
            async with asyncio.timeout(SUBSCRIBE_S):
                await self._subscribed(worker)
        except (TimeoutError, Unavailable) as error:
            log.error("subscribe_failed", session=self.session, stderr=list(worker.child.tail))
            source.over.set()
            raise Unavailable("The media worker could not subscribe.") from error

    async def _subscribed(self, worker: Worker) -> None:
        """`on_play` says that the worker is about to join; /stat that it has."""
        joined = asyncio.ensure_future(worker.subscribed.wait())
        ended = asyncio.ensure_future(worker.ended.wait())
        try:
            await asyncio.wait((joined, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            joined.cancel()
            ended.cancel()
        while not worker.ended.is_set():
            stat = await self._kit.nginx.stat()
            if worker.client in stat.players.get(worker.name, ()):
                return
            # nginx has our answer to on_play but has not acted on it yet.
            await asyncio.sleep(0.002)
        raise Unavailable("The media worker ended.")

    def subscriber(self, name: str, client: int) -> bool:
        """Somebody asks to play `name`: whether that is our worker."""
        for source in self._inputs:
            if source.name == name and not source.worker.subscribed.is_set():
                source.worker.joins(client)
                return True
        starting = self._starting.get(name)
        if starting is None or starting.client is not None:
            return False
        starting.client = client
        return True

    def detach(self, name: str) -> None:
        """The publisher of `name` is gone, or no longer wanted."""
        if starting := self._starting.get(name):
            starting.over = True
        for source in self._inputs:
            if source.name == name:
                source.over.set()

    async def _run_input(self, source: Input) -> None:
        """From its turn to its end."""
        worker = source.worker
        try:
            while self._inputs[0] is not source:
                await self._inputs[0].closed.wait()
            if not source.over.is_set():
                worker.open()
                await self._until_over(source)
                await worker.drain(DRAIN_S)
        finally:
            await worker.close()
        await self._close_input(source)

    async def _until_over(self, source: Input) -> None:
        """Until the session lets go of the input, or the worker has ended without a reason."""
        over = asyncio.ensure_future(source.over.wait())
        ended = asyncio.ensure_future(source.worker.ended.wait())
        try:
            await asyncio.wait((over, ended), return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                return
            if await source.worker.child.wait() == 0:
                # nginx tells of a publisher's end twice, to ffmpeg and by hook.
                await asyncio.wait((over,), timeout=EXPLAIN_S)
        finally:
            over.cancel()
            ended.cancel()
        if not source.over.is_set():
            await self._explain(source)

    async def _explain(self, source: Input) -> None:
        """A worker ended and no hook said why: did it crash, or is the publisher gone?"""
        try:
            there = source.name in (await self._kit.nginx.stat()).publishers
        except Unavailable:
            there = False
        if source.over.is_set():
            return
        if not there:
            self._kit.host.lost(source.name)
            return
        log.warning(
            "worker_died",
            session=self.session,
            status=await source.worker.close(),
            stderr=list(source.worker.child.tail)[-5:],
        )
        self.restart(source, "worker_died", "The media worker failed.")

    def restart(self, source: Input, code: str, message: str) -> None:
        """Subscribe to the same publisher once more; where that is of no use, have it reconnect."""
        self._kit.metrics.worker_restarts.labels("source").inc()
        now = time.monotonic()
        while self._restarts and self._restarts[0] < now - RESTART_WINDOW_S:
            self._restarts.popleft()
        self._restarts.append(now)
        if not self.can_join_late or len(self._restarts) > MAX_RESTARTS:
            # nginx keeps no codec headers of Enhanced RTMP: only the encoder can send them again.
            self._kit.host.unusable(source.name, Verdict.DROP, code, message)
            return
        source.over.set()
        self.tasks.spawn(self._reconnect(source.name), f"restart-{source.name}")

    def _late_track(self, name: str) -> None:
        """Sound (or picture) began after the worker had settled: only a new one takes it in."""
        source = self._inputs[0] if self._inputs else None
        if source is None or source.name != name or source.over.is_set():
            return
        log.info("late_track", session=self.session)
        self.restart(source, "late_track", "Sound or picture began late.")

    async def _reconnect(self, name: str) -> None:
        try:
            await self.connect(name)
        except Unavailable as error:
            self._kit.host.unusable(name, Verdict.DROP, "worker_died", error.message)

    async def _close_input(self, source: Input) -> None:
        """Publish what the input left; the next one may begin."""
        await self._rungs.finish(DRAIN_S)
        self._handle(self._live.cut(self.now()))
        self._publisher.restarted()
        self._meter.restart()
        self._replay = Replay() if self._replay is not None else None
        self._fresh = True
        source.over.set()
        self._inputs.remove(source)
        source.closed.set()
        if self._ending and not self._inputs:
            self._finish()

    def flowing(self, now: float) -> str | None:
        """The name of the input whose media arrived in the last seconds."""
        if not self._inputs or now - self._heard_at > FLOWING_S:
            return None
        return self._inputs[0].name

    # Packets

    def _on_data(self, data: bytes) -> None:
        source = self._inputs[0]
        self._heard_at = time.monotonic()
        if source.failed:
            return
        try:
            self._pass_by(source, data)
        except TagError:
            # The packager finds the same and says it in words.
            pass
        self._handle(self._live.feed(SOURCE, data, self.now()))

    def _pass_by(self, source: Input, data: bytes) -> None:
        """Health and the transcoder see each tag before the packager does."""
        now = time.monotonic()
        tags: list[Tag] = []
        for tag in source.scanner.feed(data):
            self._meter.tag(tag, now)
            if self._replay is not None:
                self._replay.add(tag)
                tags.append(tag)
        if self._replay is not None:
            self._rungs.source(source.scanner.header, tags, self._replay)

    def _handle(self, events: list[Event]) -> None:
        """Publish what the packager made, and act on what it found."""
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
        packager = self._notebook.text()
        if packager == "null":
            return
        # Ten times a second: only the packager's half changes with every part.
        text = f'{{"session":{self._own_notes},"packager":{packager}}}'
        self._kit.media.write(self.session, STATE_FILE, text.encode())

    def _note(self) -> None:
        """Something of what is written down beside the packager's notes has changed."""
        memory = Memory(
            multivariant=self._publisher.offered,
            info=asdict(self.info) if self.info else None,
            rungs=self._rungs.remember(),
            missing=self._rungs.missing,
            transcode_audio=self.transcode_audio,
            identity=self._identity,
        )
        self._own_notes = json.dumps(asdict(memory))

    def remember(self, identity: dict[str, Any]) -> None:
        """Whose session this is and how it stands, to be found by the next life of this process."""
        self._identity = identity
        self._note()
        if not self._media_failed:
            with contextlib.suppress(MediaFull):
                self._remember()

    @property
    def can_join_late(self) -> bool:
        """Whether a worker that subscribes in mid-stream is given the codec headers."""
        return (self.info.video if self.info else "") in _LATE_JOINERS

    def _listed(self, event: PlaylistReady) -> None:
        if event.ended or not self._inputs:
            return
        # Bandwidths in it change with whole segments.
        if (self._fresh or event.complete_msn > self._offered_msn) and self._offer():
            self._offered_msn = event.complete_msn
            self._note()
            if self._fresh:
                self._fresh = False
                self._kit.host.playable(self._inputs[0].name)

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
        self.refresh_warnings()

    def _fault(self, fault: StreamFault) -> None:
        log.warning(
            "stream_fault", session=self.session, rendition=fault.rendition, code=fault.code
        )
        if fault.rendition != SOURCE:
            if fault.fatal:
                self._rungs.fail(fault.rendition)
            return
        if not fault.fatal:
            self._faults[fault.code] = (time.monotonic(), Warn(fault.code, fault.message))
            self.refresh_warnings()
        elif fault.code == "audio_codec" and not self.transcode_audio and self._inputs:
            # CMAF cannot carry it, but ffmpeg can turn it into AAC.
            self.transcode_audio = True
            self._inputs[0].failed = True
            self.restart(self._inputs[0], fault.code, fault.message)
        elif fault.code in ("corrupt_flv", "not_flv", "timestamps") and self._inputs:
            self._inputs[0].failed = True
            self.restart(self._inputs[0], fault.code, fault.message)
        else:
            self._unusable(Verdict.END, fault.code, fault.message)

    def _unusable(self, verdict: Verdict, code: str, message: str) -> None:
        if self._inputs:
            self._inputs[0].failed = True
            self._kit.host.unusable(self._inputs[0].name, verdict, code, message)

    # Pictures and health

    def _segment_ready(self, segment: SegmentReady) -> None:
        """The one place every finished segment passes: from here it goes to whoever keeps it."""
        if segment.rendition != SOURCE or self.info is None:
            return
        now = time.monotonic()
        interval = self._kit.settings.thumbnail_interval_s
        if self._photographed is None or now - self._photographed >= interval:
            self._photographed = now
            self.tasks.spawn(self._photograph(segment, self.info), f"picture-{self.session}")

    async def _photograph(self, segment: SegmentReady, info: SourceInfo) -> None:
        folder = self._kit.media.root / self.session / SOURCE
        # The keyframe comes first, and a second of sound is enough: half the cost of it all.
        names = (segment.init_name, *segment.parts[:LOOKED_AT_PARTS])
        try:
            media = b"".join((folder / name).read_bytes() for name in names)
        except OSError:
            return
        look = await self._kit.photographer.look(
            media, has_video=bool(info.video), has_audio=bool(info.audio)
        )
        if look is None or self._ending:
            return
        self._meter.levels = look.levels
        if look.picture:
            try:
                self._kit.media.write(self.session, FILE_NAME, look.picture)
            except MediaFull:
                return
            self.thumbnail_at = self.now()

    def measure(self) -> Sample | None:
        """Condense the last seconds into a sample; None while nothing is connected."""
        if not self._inputs:
            return None
        sample = self._meter.sample(self.info, time.monotonic())
        if sample is not None:
            self.sample = sample
            self._rungs.check()
            self.refresh_warnings()
        return sample

    def refresh_warnings(self) -> None:
        """Bring `warnings` up to date and tell when they are others than before."""
        now = time.monotonic()
        self._faults = {c: f for c, f in self._faults.items() if f[0] > now - FAULT_SHOWN_S}
        found = {warn.code: warn for _, warn in self._faults.values()}
        if self._rungs.missing:
            found[NO_HEADROOM] = Warn(NO_HEADROOM, self._rungs.missing)
        if self.sample is not None and self._inputs:
            for warn in advise(self.sample, self.info):
                found.setdefault(warn.code, warn)
        before = [warn.code for warn in self.warnings]
        self.warnings = list(found.values())
        if before != list(found):
            self._kit.host.warned(self.session)

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
        if self._ending:
            return
        self._ending = True
        for source in self._inputs:
            source.over.set()
        if not self._inputs:
            self._finish()

    def _finish(self) -> None:
        self._handle(self._live.end(self.now()))
        self.finished.set()

    def withdraw(self, *covers: str) -> None:
        """Remove the media, after their window."""
        self._publisher.withdraw(*covers)

    async def close(self) -> None:
        """Stop everything where it stands, for another life of this service to go on from."""
        await self.tasks.close()
        await self._rungs.close()


def _packager_config(settings: Settings) -> PackagerConfig:
    return PackagerConfig(
        part_target_s=settings.part_target_s,
        segment_target_s=settings.segment_target_s,
        window_s=settings.media_window_s,
    )
