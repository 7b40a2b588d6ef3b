/**
 * Plays something recorded on a screen: a video, a clip, or the record of a broadcast that still runs
 * and grows. Seeks anywhere, at any speed, and mends itself when the network breaks.
 */
import type Hls from 'hls.js/light';
import type { ErrorData, HlsConfig, LevelDetails } from 'hls.js/light';
import { bufferEnd } from './buffered';
import { publishFigures } from './figures';
import { loadPolicy, rememberBandwidth } from './hls-config';
import { showQualities } from './levels';
import { readPrefs } from './prefs';
import { causeOf, Retry } from './retry';
import { mediaAt, runsOf, wallAt, type Run, type Timeline } from './scale';
import type { Screen } from './screen';
import type { QualityChoice } from './snapshot';
import { Watchdog } from './watchdog';

/** A moment: of the recording's own time, or of the wall clock, in seconds. */
export type Moment = { media: number } | { wall: number };

export interface Source {
  /** Path of the multivariant playlist. */
  url: string;
  from: Moment;
  /** Stay paused on the first picture. */
  paused?: boolean;
}

export interface RecordingHooks {
  /** Asked for another address of the same thing when this one no longer answers. */
  renew?: () => Promise<string>;
  /** The playhead reached the end of what is recorded of something that still runs. */
  onCaughtUp?: () => void;
  /** The line counts in something else than the recording's own time. */
  line?: (own: Timeline) => Timeline | null;
}

const TICK_MS = 250;
/** This close to the end of a growing recording counts as having caught up, s. */
const CAUGHT_UP_S = 1.5;
/** A start that differs less from what was wanted is not worth loading another segment for, s. */
const NEAR_S = 0.3;
/** A seek to the very end shows the last picture instead of nothing, s. */
const BEFORE_END_S = 0.05;

function config(from: number): Partial<HlsConfig> {
  return {
    enableWorker: false,
    startPosition: from,
    lowLatencyMode: false,
    maxLiveSyncPlaybackRate: 1,
    backBufferLength: 60,
    maxBufferLength: 30,
    maxMaxBufferLength: 60,
    testBandwidth: false,
    startFragPrefetch: true,
    abrEwmaDefaultEstimate: readPrefs().bandwidth,
    abrEwmaDefaultEstimateMax: 50_000_000,
    playlistLoadPolicy: loadPolicy(15_000),
    manifestLoadPolicy: loadPolicy(10_000),
    fragLoadPolicy: loadPolicy(15_000),
  };
}

const seconds = () => performance.now() / 1000;

export class Recording {
  private hls: Hls | null = null;
  private source: Source | null = null;
  private runs: readonly Run[] = [];
  private edge = 0;
  /** Whether more is being recorded. */
  grows = false;
  private placed = false;
  private audioUrl: string | null = null;
  private recoveries = 0;
  private stalls = 0;
  private rate = 1;
  private readonly retry = new Retry(() => void this.reopen());
  private readonly watchdog = new Watchdog();
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly screen: Screen,
    private readonly Engine: typeof Hls,
    private readonly hooks: RecordingHooks = {},
  ) {
    const guarded = (handle: () => void) => () => {
      if (this.source !== null) handle();
    };
    const on = (type: keyof HTMLMediaElementEventMap, handle: () => void) =>
      screen.on(type, guarded(handle));
    on('waiting', () => {
      if (!this.screen.video.seeking && this.screen.state.started) this.stalls += 1;
      this.screen.set({ waiting: true });
    });
    on('playing', () => this.onPlaying());
    on('pause', () => this.screen.set({ paused: true }));
    on('play', () => this.screen.set({ paused: false, ended: false }));
    on('ended', () => this.screen.set({ ended: true, waiting: false }));
    on('seeking', () => this.tell());
    on('seeked', () => this.screen.set({ waiting: false }));
    on('loadeddata', () => this.screen.set({ started: true, waiting: false }));
    on('error', () => this.onNativeError());
    screen.onWindow(
      'online',
      guarded(() => this.onOnline()),
    );
  }

  /** Whether it is what the screen shows. */
  get isOpen(): boolean {
    return this.source !== null;
  }

  open(source: Source) {
    this.close();
    this.source = source;
    this.runs = [];
    this.screen.set({ started: false, waiting: true, fault: null, ended: false, blocked: false });
    this.load();
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Leave the screen to something else. */
  close() {
    if (this.source === null) return;
    this.source = null;
    this.retry.stop();
    clearInterval(this.timer);
    if (this.screen.state.started) rememberBandwidth(this.hls);
    this.hls?.destroy();
    this.hls = null;
    this.screen.video.playbackRate = 1;
  }

  /** Another address for the rest of what is being played. */
  readdress(url: string) {
    if (this.source !== null) this.source = { ...this.source, url };
  }

  seek(to: Moment) {
    const at = this.mediaOf(to);
    if (at === null || !this.placed) {
      if (this.source) this.open({ ...this.source, from: to });
      return;
    }
    const end = this.grows ? this.edge - CAUGHT_UP_S : this.edge - BEFORE_END_S;
    this.screen.set({ ended: false });
    this.screen.video.currentTime = Math.max(0, Math.min(at, end));
    this.tell();
  }

  /** Where the playhead is, on the wall clock of the recording; null while unknown. */
  wall(): number | null {
    return this.placed ? this.wallOf(this.screen.video.currentTime) : null;
  }

  /** The wall clock at one of its own times; null while unknown. */
  wallOf(at: number): number | null {
    return wallAt(this.runs, at);
  }

  mediaOf(moment: Moment): number | null {
    return 'media' in moment ? moment.media : mediaAt(this.runs, moment.wall);
  }

  setRate(rate: number) {
    this.rate = rate;
    if (this.source) this.screen.video.playbackRate = rate;
    this.screen.set({ rate });
  }

  choose(choice: QualityChoice) {
    const wasAudio = this.screen.state.audioOnly;
    this.screen.set({ choice, audioOnly: choice === 'audio' });
    if ((choice === 'audio') !== wasAudio) void this.reopen();
    else if (this.hls) this.hls.nextLevel = choice === 'auto' ? -1 : Number(choice);
  }

  // --- loading and mending ------------------------------------------------------------------------

  private load() {
    const { source, screen } = this;
    if (source === null) return;
    this.placed = false;
    this.watchdog.restart(seconds());
    if (!this.Engine.isSupported()) {
      this.loadNatively(source);
      return;
    }
    const guess = this.mediaOf(source.from);
    const hls = new this.Engine(config(guess ?? 0));
    this.hls = hls;
    this.listen(hls);
    hls.loadSource(screen.state.audioOnly && this.audioUrl ? this.audioUrl : source.url);
    hls.attachMedia(screen.video);
    screen.video.playbackRate = this.rate;
    screen.video.defaultPlaybackRate = this.rate;
    if (!source.paused) void screen.play();
  }

  /** The browser's own HLS plays, where there is no Media Source. */
  private loadNatively({ url, from, paused }: Source) {
    const { video } = this.screen;
    video.src = url;
    video.addEventListener(
      'loadedmetadata',
      () => {
        this.placed = true;
        this.edge = video.duration;
        if ('media' in from) video.currentTime = from.media;
      },
      { once: true },
    );
    if (!paused) void this.screen.play();
  }

  private listen(hls: Hls) {
    const { Events } = this.Engine;
    showQualities(hls, this.Engine, this.screen, (url) => (this.audioUrl = url));
    hls.on(Events.LEVEL_UPDATED, (_, { details }) => this.onDetails(hls, details));
    hls.on(Events.FRAG_BUFFERED, () => {
      this.retry.worked();
      if (this.screen.state.fault === 'network') this.screen.set({ fault: null });
    });
    hls.on(Events.ERROR, (_, data) => this.onError(hls, data));
  }

  private onDetails(hls: Hls, details: LevelDetails) {
    this.runs = runsOf(details.fragments);
    this.edge = details.edge;
    this.grows = details.live;
    if (this.placed || this.source === null) return;
    this.placed = true;
    // Where a wall clock is on the recording's own time is known only now.
    const { from } = this.source;
    const at = this.mediaOf(from) ?? 0;
    const place = Math.max(0, Math.min(at, this.edge - (this.grows ? CAUGHT_UP_S : BEFORE_END_S)));
    const loading = hls.startPosition;
    if (Math.abs(place - loading) > NEAR_S) hls.startLoad(place);
    this.tell();
  }

  private onError(hls: Hls, data: ErrorData) {
    if (!data.fatal || hls !== this.hls) return;
    const cause = causeOf(data, hls.levels.length);
    if (cause === 'codecs') this.screen.set({ fault: 'unplayable', waiting: false });
    else if (cause === 'decoder' && this.recoveries++ === 0) {
      hls.recoverMediaError();
      if (!this.screen.state.paused) void this.screen.play();
    } else this.mend();
  }

  private onNativeError() {
    if (this.hls === null && this.source) this.mend();
  }

  private mend() {
    this.keepPlace();
    this.hls?.destroy();
    this.hls = null;
    this.recoveries = 0;
    this.screen.set({ fault: 'network', waiting: true });
    this.retry.later();
  }

  /** From the same place again, at a new address where there is one. */
  private async reopen() {
    this.keepPlace();
    this.hls?.destroy();
    this.hls = null;
    const { source } = this;
    if (source === null) return;
    try {
      const url = (await this.hooks.renew?.()) ?? source.url;
      // Something else was opened meanwhile, or nothing is any more.
      if (this.source !== source) return;
      this.source = { ...source, url };
      this.load();
    } catch {
      if (this.source === source) this.retry.later();
    }
  }

  private keepPlace() {
    if (this.source === null || !this.placed) return;
    const { currentTime, paused } = this.screen.video;
    this.source = { ...this.source, from: { media: currentTime }, paused };
  }

  private onOnline() {
    this.retry.worked();
    if (this.hls === null) void this.reopen();
    else this.hls.startLoad();
  }

  // --- playing ------------------------------------------------------------------------------------

  private onPlaying() {
    this.recoveries = 0;
    this.screen.set({
      started: true,
      waiting: false,
      blocked: false,
      paused: false,
      ended: false,
      fault: null,
    });
  }

  private tick() {
    const { video } = this.screen;
    this.tell();
    const { latency } = this.screen.state;
    publishFigures(video, { latency, edgeLatency: null, target: 0, stalls: this.stalls });
    const caughtUp = this.placed && this.grows && video.currentTime > this.edge - CAUGHT_UP_S;
    if (caughtUp && !video.paused) this.hooks.onCaughtUp?.();
    const idle = video.paused || video.ended || document.hidden || this.hls === null || caughtUp;
    if (this.watchdog.stuck(seconds(), video.currentTime, idle)) void this.reopen();
  }

  private tell() {
    if (!this.placed) return;
    const { video } = this.screen;
    const at = video.currentTime;
    const own = { start: 0, end: this.edge, at, buffered: bufferEnd(video) ?? at };
    this.screen.set({ timeline: this.hooks.line ? this.hooks.line(own) : own });
  }
}
