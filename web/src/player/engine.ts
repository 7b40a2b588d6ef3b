/**
 * Plays one channel's live stream in one <video>: hls.js (or the browser's own HLS where there is no
 * Media Source), steered by `LatencyControl`, mended by itself when the network or the stream breaks.
 *
 * The page tells it what the channel's live state says (`follow`); it tells the page what to show
 * (`subscribe` / `snapshot`). It never guesses the stream's state from failed requests.
 */
import Hls, {
  ErrorDetails,
  ErrorTypes,
  Events,
  type ErrorData,
  type HlsConfig,
  type Level,
  type LevelDetails,
} from 'hls.js/light';
import type { LiveState } from '../api/types';
import { LatencyControl } from './latency';
import { readPrefs, writePrefs } from './prefs';
import { RungCeiling } from './rungs';

export interface Quality {
  /** Index among hls.js's levels. */
  index: number;
  name: string;
  detail: string;
}

export type PlayerFault =
  /** The browser decodes none of the renditions. */
  | 'unplayable'
  /** Requests fail; it keeps trying. */
  | 'network';

export interface PlayerSnapshot {
  /** A first frame has been shown since the stream was opened. */
  started: boolean;
  /** Wants to play but has no data. */
  waiting: boolean;
  paused: boolean;
  fault: PlayerFault | null;
  /** Autoplay was only allowed without sound. */
  mutedByBrowser: boolean;
  /** Autoplay was refused altogether: a press on play is needed. */
  blocked: boolean;
  /** The viewer is behind the live edge by their own choice. */
  behind: boolean;
  /** Seconds from the server's receipt of a picture to its display; null when unknown. */
  latency: number | null;
  qualities: readonly Quality[];
  /** The quality being shown, index into `qualities` by `Quality.index`; -1 unknown. */
  current: number;
  /** What the viewer asked for. */
  choice: QualityChoice;
  audioOnly: boolean;
  hasAudioOnly: boolean;
}

export type QualityChoice = 'auto' | 'audio' | number;

export interface StreamPosition {
  /** Path of the multivariant playlist. */
  url: string;
  /** Changes with every broadcast; the same across a reconnect. */
  session: string;
  state: 'live' | 'reconnecting';
}

/** For tests and benchmarks: `window.footlight.player`. Seconds, counts. */
export interface PlayerFigures {
  latency: number | null;
  edgeLatency: number | null;
  target: number;
  rate: number;
  stalls: number;
  droppedFrames: number;
  totalFrames: number;
  buffer: number;
}

declare global {
  interface Window {
    footlight?: { player?: PlayerFigures };
  }
}

/** Distance from the edge that the first request aims at where no keyframe says better, s. */
const START_BEHIND_S = 0.4;
/** Playback begins at the newest keyframe up to this far from the edge: longer GOPs are for nobody, s. */
const START_KEYFRAME_S = 12;
/** A seek to a keyframe aims just behind its start, so that rounding never lands in the GOP before, s. */
const INTO_KEYFRAME_S = 0.02;
const TICK_MS = 100;
/** Snapshots for the eye need not be faster than this, ms. */
const TELL_MS = 250;
/** The viewer is "behind" when further from the edge than this beyond the target, s. */
const BEHIND_S = 4;
/** A paused stream is kept buffered for about this long; after it, play means the live edge, s. */
const PAUSE_KEPT_S = 30;
/** Playing, live and without progress for this long: build everything anew, s. */
const STUCK_S = 8;
const RETRY_MS = [400, 6000] as const;
/** Data missing by more than this is given up and skipped, s. */
const SKIP_S = 2;
/** One jump must show before the next, s. */
const JUMP_PAUSE_S = 4;

const EMPTY: PlayerSnapshot = {
  started: false,
  waiting: false,
  paused: true,
  fault: null,
  mutedByBrowser: false,
  blocked: false,
  behind: false,
  latency: null,
  qualities: [],
  current: -1,
  choice: 'auto',
  audioOnly: false,
  hasAudioOnly: false,
};

function config(): Partial<HlsConfig> {
  return {
    lowLatencyMode: true,
    // Parts are fragmented MP4 and only pass through: a worker would cost its start and a hop for every
    // part, and saves nothing.
    enableWorker: false,
    // The control is ours: hls.js neither chases nor backs off by itself.
    maxLiveSyncPlaybackRate: 1,
    liveSyncOnStallIncrease: 0,
    // Where playback begins, until `aimAtKeyframe` knows better.
    liveSyncDuration: START_BEHIND_S,
    liveDurationInfinity: true,
    backBufferLength: 30,
    maxBufferLength: PAUSE_KEPT_S,
    maxMaxBufferLength: PAUSE_KEPT_S,
    // A bitrate test would put a whole segment of the worst rendition before the first frame.
    testBandwidth: false,
    startFragPrefetch: true,
    abrEwmaDefaultEstimate: readPrefs().bandwidth,
    abrEwmaDefaultEstimateMax: 50_000_000,
    // Blocking reloads are held for up to 3 target durations when the streamer stalls.
    playlistLoadPolicy: loadPolicy(40_000),
    manifestLoadPolicy: loadPolicy(8_000),
    fragLoadPolicy: loadPolicy(8_000),
  };
}

function loadPolicy(firstByteMs: number) {
  const retry = { maxNumRetry: 8, retryDelayMs: 150, maxRetryDelayMs: 1500 };
  return {
    default: {
      maxTimeToFirstByteMs: firstByteMs,
      maxLoadTimeMs: firstByteMs + 20_000,
      timeoutRetry: { ...retry, maxNumRetry: 3 },
      errorRetry: retry,
    },
  };
}

function qualityOf(level: Level, index: number): Quality {
  const source = /\/source\//.test(level.uri);
  const fps = level.frameRate > 32 ? String(Math.round(level.frameRate)) : '';
  const size = level.height ? `${level.height}p${fps}` : 'Video';
  const rate = level.bitrate ? `${(level.bitrate / 1_000_000).toFixed(1)} Mb/s` : '';
  return { index, name: size, detail: [source ? 'source' : '', rate].filter(Boolean).join(', ') };
}

/** Where the newest part starts that a decoder can begin with, on the media timeline, s. */
function newestKeyframe(details: LevelDetails): number | null {
  return details.partList?.findLast((part) => part.independent)?.start ?? null;
}

/** What to play, from the live state of a channel; null while it is off. */
export function streamOf(live: LiveState): StreamPosition | null {
  if (live.state === 'offline' || live.session === null) return null;
  return { url: `/live/${live.login}/index.m3u8`, session: live.session, state: live.state };
}

const seconds = () => performance.now() / 1000;

export class LivePlayer {
  private hls: Hls | null = null;
  private stream: StreamPosition | null = null;
  private readonly control = new LatencyControl({ partTarget: 0.2, holdBack: 0.6 });
  private rungs = new RungCeiling();
  private readonly listeners = new Set<() => void>();
  private readonly cleanUp = new AbortController();
  private readonly timer: ReturnType<typeof setInterval>;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private retryMs: number = RETRY_MS[0];
  private state: PlayerSnapshot = EMPTY;
  private lastTell = 0;
  private clockOffsetMs = 0;
  private audioUrl: string | null = null;
  private mediaRecoveries = 0;
  private stalls = 0;
  private lastJump = -Infinity;
  private pausedAt: number | null = null;
  private lastProgress = { at: seconds(), position: 0 };
  private frozen = false;
  private onData: (() => void) | null = null;
  private target = 0.6;
  private edgeLatency: number | null = null;
  private dead = false;
  /** A preview that starts silent is no choice of the viewer's to remember. */
  private readonly remembers: boolean;

  /** Made here and put into the page by whoever shows it, so that loading need not wait for the page. */
  readonly video = document.createElement('video');

  constructor({ startMuted = false }: { startMuted?: boolean } = {}) {
    const { video } = this;
    video.playsInline = true;
    video.slot = 'media';
    const on = (type: keyof HTMLMediaElementEventMap, handle: () => void) =>
      video.addEventListener(type, handle, { signal: this.cleanUp.signal });
    on('waiting', () => this.onWaiting());
    on('playing', () => this.onPlaying());
    on('pause', () => this.onPause());
    on('play', () => this.onPlay());
    on('volumechange', () => this.onVolume());
    on('error', () => this.onNativeError());
    addEventListener('online', () => this.onOnline(), { signal: this.cleanUp.signal });
    this.remembers = !startMuted;
    const prefs = readPrefs();
    video.volume = prefs.volume;
    video.muted = startMuted || prefs.muted;
    video.preservesPitch = true;
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.publish();
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): PlayerSnapshot => this.state;

  /** The channel's live state changed. Null: offline; what is on the screen stays there. */
  follow(stream: StreamPosition | null, clockOffsetMs: number) {
    this.clockOffsetMs = clockOffsetMs;
    const before = this.stream;
    this.stream = stream;
    if (stream === null) {
      this.stop();
      return;
    }
    if (before?.session !== stream.session || (this.hls === null && !this.playsNatively)) {
      this.open();
    } else if (before.state === 'reconnecting' && stream.state === 'live') {
      this.resume();
    }
  }

  /** Resolves when the first media has been buffered. */
  hasData(): Promise<void> {
    return new Promise((resolve) => {
      if (this.hls === null) resolve();
      else this.onData = resolve;
    });
  }

  /** Back to the live edge, playing. */
  goLive() {
    const edge = this.control.edge(seconds());
    this.set({ behind: false });
    if (edge !== null) this.jump(edge - this.target);
    void this.play();
  }

  togglePlay() {
    if (this.video.paused) void this.play();
    else this.video.pause();
  }

  /** Step back or forward inside what is still buffered, s. */
  step(by: number) {
    const { buffered, currentTime } = this.video;
    if (buffered.length === 0) return;
    const start = buffered.start(0);
    const end = buffered.end(buffered.length - 1);
    const to = Math.max(start + 0.1, currentTime + by);
    if (to >= end - this.target) this.goLive();
    else {
      this.video.currentTime = to;
      this.set({ behind: true });
    }
  }

  choose(choice: QualityChoice) {
    const wasAudio = this.state.audioOnly;
    this.set({ choice, audioOnly: choice === 'audio' });
    if ((choice === 'audio') !== wasAudio) this.open();
    else if (this.hls) this.hls.loadLevel = choice === 'auto' ? -1 : Number(choice);
  }

  setVolume(volume: number) {
    this.video.volume = Math.min(1, Math.max(0, Math.round(volume * 100) / 100));
    if (this.video.volume > 0) this.video.muted = false;
  }

  unmute() {
    this.video.muted = false;
    if (this.video.volume === 0) this.video.volume = 1;
    this.set({ mutedByBrowser: false });
  }

  destroy() {
    this.dead = true;
    clearInterval(this.timer);
    clearTimeout(this.retryTimer);
    this.cleanUp.abort();
    this.hls?.destroy();
    this.hls = null;
    this.video.remove();
    if (window.footlight) delete window.footlight.player;
  }

  // --- opening and mending -------------------------------------------------------------------

  private get playsNatively(): boolean {
    return !Hls.isSupported();
  }

  /** Load the stream from nothing: a new broadcast, another kind of rendition, or after a failure. */
  private open() {
    clearTimeout(this.retryTimer);
    const { stream } = this;
    if (stream === null || this.dead) return;
    this.rememberBandwidth();
    this.hls?.destroy();
    this.hls = null;
    this.control.restart();
    this.rungs = new RungCeiling();
    this.lastProgress = { at: seconds(), position: -1 };
    this.set({ started: false, waiting: true, behind: false, blocked: false, fault: null });
    if (this.playsNatively) {
      this.openNatively(stream.url);
      return;
    }
    const hls = new Hls(config());
    this.hls = hls;
    this.listen(hls);
    hls.loadSource(this.state.audioOnly && this.audioUrl ? this.audioUrl : stream.url);
    hls.attachMedia(this.video);
    void this.play();
  }

  private openNatively(url: string) {
    if (this.video.canPlayType('application/vnd.apple.mpegurl') === '') {
      this.set({ fault: 'unplayable', waiting: false });
      return;
    }
    this.video.src = url;
    void this.play();
  }

  private listen(hls: Hls) {
    hls.on(Events.MANIFEST_LOADED, (_, { levels }) => {
      // hls.js leaves sound without a picture out of its levels: keep the address for our own menu.
      const audio = levels.find((level) => !level.videoCodec && !level.height && level.audioCodec);
      if (audio) this.audioUrl = audio.url;
      if (!this.state.audioOnly) this.set({ hasAudioOnly: audio !== undefined });
    });
    hls.on(Events.MANIFEST_PARSED, (_, { levels }) => {
      if (this.state.audioOnly) return;
      this.set({ qualities: levels.map(qualityOf) });
      const { choice } = this.state;
      if (typeof choice === 'number') hls.loadLevel = choice;
    });
    hls.on(Events.LEVEL_SWITCHED, (_, { level }) => this.set({ current: level }));
    hls.on(Events.LEVEL_UPDATED, (_, { details }) => {
      this.retryMs = RETRY_MS[0];
      if (details.partTarget) {
        this.control.configure({
          partTarget: details.partTarget,
          holdBack: details.partHoldBack || details.partTarget * 3,
        });
      }
      const keyframe = newestKeyframe(details);
      if (keyframe !== null) this.control.keyframeAt(keyframe + INTO_KEYFRAME_S);
      if (!this.state.started) this.aimAtKeyframe(hls, details.edge, keyframe);
      if (details.advanced && details.live) this.control.edgeAt(seconds(), details.edge);
      if (this.state.fault === 'network') this.set({ fault: null });
    });
    hls.on(Events.BUFFER_APPENDED, () => this.onAppended());
    hls.on(Events.FRAG_BUFFERED, () => {
      const end = this.bufferEnd();
      if (end !== null) this.control.landed(seconds(), end);
    });
    hls.on(Events.ERROR, (_, data) => this.onError(hls, data));
  }

  /**
   * Begin at the newest keyframe instead of at the edge: its picture shows as soon as its first part is
   * there. From anywhere else the decoder would have to run through the GOP first, unseen. The control
   * then brings the playhead to the edge.
   */
  private aimAtKeyframe(hls: Hls, edge: number, keyframe: number | null) {
    const behind = keyframe === null ? 0 : edge - keyframe;
    const near = behind > 0 && behind < START_KEYFRAME_S;
    hls.targetLatency = near ? behind - INTO_KEYFRAME_S : START_BEHIND_S;
  }

  /** Show the first picture at once; hls.js would load every part there is before it seeks there. */
  private onAppended() {
    const { buffered, currentTime } = this.video;
    if (this.state.started || buffered.length === 0) return;
    const start = buffered.start(0) + INTO_KEYFRAME_S;
    if (currentTime < start) this.video.currentTime = start;
    this.onData?.();
    this.onData = null;
  }

  private onError(hls: Hls, data: ErrorData) {
    if (!data.fatal || hls !== this.hls) return;
    if (data.type === ErrorTypes.MEDIA_ERROR) {
      if (
        data.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR ||
        hls.levels.length === 0
      ) {
        this.set({ fault: 'unplayable', waiting: false });
        return;
      }
      // Once by flushing the decoder; a second time within one opening by opening anew.
      if (this.mediaRecoveries++ === 0) {
        hls.recoverMediaError();
        void this.play();
        return;
      }
    }
    this.retry();
  }

  private onNativeError() {
    if (this.playsNatively && this.stream) this.retry();
  }

  /** Open anew after a pause that grows; a network that returns cuts it short. */
  private retry() {
    if (this.stream === null || this.dead) return;
    this.hls?.destroy();
    this.hls = null;
    this.mediaRecoveries = 0;
    this.set({ fault: 'network', waiting: true });
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.open(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MS[1]);
  }

  private onOnline() {
    this.retryMs = RETRY_MS[0];
    if (this.stream && this.hls === null && !this.playsNatively) this.open();
    else this.hls?.startLoad();
  }

  /** The streamer is back: go on where the last picture stands. */
  private resume() {
    this.lastProgress = { at: seconds(), position: this.video.currentTime };
    if (this.hls === null) this.open();
    else this.hls.startLoad();
    void this.play();
  }

  /** The broadcast is over: keep its last picture, stop asking for more. */
  private stop() {
    clearTimeout(this.retryTimer);
    this.rememberBandwidth();
    this.hls?.stopLoad();
    this.audioUrl = null;
    this.set({ waiting: false, fault: null, behind: false, latency: null });
  }

  private rememberBandwidth() {
    const measured = this.hls?.bandwidthEstimate;
    if (measured && Number.isFinite(measured) && this.state.started) {
      writePrefs({ bandwidth: Math.round(measured) });
    }
  }

  // --- playing -------------------------------------------------------------------------------

  private async play() {
    try {
      await this.video.play();
      this.set({ blocked: false });
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
      if (this.video.muted) {
        this.set({ blocked: true, waiting: false });
        return;
      }
      this.video.muted = true;
      this.set({ mutedByBrowser: true });
      await this.play();
    }
  }

  private onWaiting() {
    if (this.video.seeking || this.stream === null) return;
    if (this.state.started && this.stream.state === 'live') {
      this.stalls += 1;
      this.control.stalled(seconds());
    }
    this.frozen = true;
    this.set({ waiting: true });
  }

  private onPlaying() {
    this.frozen = false;
    this.mediaRecoveries = 0;
    this.set({ started: true, waiting: false, blocked: false, paused: false, fault: null });
  }

  private onPause() {
    this.pausedAt = seconds();
    this.set({ paused: true });
  }

  private onPlay() {
    const pausedFor = this.pausedAt === null ? 0 : seconds() - this.pausedAt;
    this.pausedAt = null;
    this.set({ paused: false });
    if (pausedFor > PAUSE_KEPT_S) this.goLive();
    else if (pausedFor > 1) this.set({ behind: true });
  }

  private onVolume() {
    const { volume, muted } = this.video;
    if (!muted) this.set({ mutedByBrowser: false });
    // What the browser's policy muted is not what the viewer wants remembered.
    if (this.remembers && !this.state.mutedByBrowser) writePrefs({ volume, muted });
  }

  private bufferEnd(): number | null {
    const { buffered, currentTime } = this.video;
    for (let n = 0; n < buffered.length; n += 1) {
      if (buffered.start(n) <= currentTime + 0.5 && buffered.end(n) >= currentTime) {
        return buffered.end(n);
      }
    }
    return buffered.length > 0 ? buffered.end(buffered.length - 1) : null;
  }

  private jump(to: number) {
    const end = this.bufferEnd();
    this.video.currentTime = end === null ? to : Math.max(0, Math.min(to, end - 0.05));
  }

  /** How much the newest playlist offers that the buffer has not got, s. */
  private lag(): number {
    const edge = this.hls?.latestLevelDetails?.edge;
    const end = this.bufferEnd();
    return edge === undefined || end === null ? 0 : edge - end;
  }

  /** Jump ahead when far behind: inside the buffer, or over what this connection did not bring. */
  private catchUp(to: number, now: number) {
    if (now - this.lastJump < JUMP_PAUSE_S) return;
    const end = this.bufferEnd();
    const buffered = end !== null && to < end - 0.1;
    if (!buffered && this.lag() < SKIP_S) return;
    this.lastJump = now;
    this.video.currentTime = to;
  }

  private limit(hls: Hls, now: number) {
    const level = hls.loadLevel;
    if (!hls.autoLevelEnabled || level < 0 || !this.state.started) return;
    const top = hls.levels.length - 1;
    hls.autoLevelCapping = this.rungs.update({ now, lag: this.lag(), level, top });
  }

  private tick() {
    const { video, hls } = this;
    if (this.stream === null || hls === null) return;
    const now = seconds();
    const playing = !video.paused && !video.seeking && !this.frozen && this.state.started;
    const out = this.control.tick({
      now,
      position: video.currentTime,
      steer: playing && !this.state.behind && this.stream.state === 'live',
    });
    this.target = out.target;
    this.edgeLatency = this.state.started ? out.latency : null;
    if (out.seekTo !== null) this.catchUp(out.seekTo, now);
    this.limit(hls, now);
    if (video.playbackRate !== out.rate) video.playbackRate = out.rate;
    if (this.state.behind && out.latency !== null && out.latency < out.target + 0.5) {
      this.set({ behind: false });
    }
    this.watchProgress(now);
    this.publish();
    if (now * 1000 - this.lastTell >= TELL_MS) {
      this.lastTell = now * 1000;
      this.set({ latency: this.glassLatency(hls) });
    }
  }

  /** By PROGRAM-DATE-TIME against the server's clock: what the viewer is really behind. */
  private glassLatency(hls: Hls): number | null {
    const shown = hls.playingDate;
    if (shown === null || !this.state.started) return this.edgeLatency;
    return (Date.now() + this.clockOffsetMs - shown.getTime()) / 1000;
  }

  /** A player that should play and does not, for whatever reason, is built anew. */
  private watchProgress(now: number) {
    const { video } = this;
    const idle = video.paused || this.stream?.state !== 'live' || document.hidden;
    if (idle || video.currentTime !== this.lastProgress.position) {
      this.lastProgress = { at: now, position: video.currentTime };
    } else if (now - this.lastProgress.at > STUCK_S) {
      this.lastProgress = { at: now, position: video.currentTime };
      this.open();
    }
  }

  private publish() {
    const frames = this.video.getVideoPlaybackQuality();
    const end = this.bufferEnd();
    const figures: PlayerFigures = {
      latency: this.state.latency,
      edgeLatency: this.edgeLatency,
      target: this.target,
      rate: this.video.playbackRate,
      stalls: this.stalls,
      droppedFrames: frames.droppedVideoFrames,
      totalFrames: frames.totalVideoFrames,
      buffer: end === null ? 0 : end - this.video.currentTime,
    };
    window.footlight = { ...window.footlight, player: figures };
  }

  private set(change: Partial<PlayerSnapshot>) {
    const keys = Object.keys(change) as (keyof PlayerSnapshot)[];
    if (keys.every((key) => Object.is(this.state[key], change[key]))) return;
    this.state = { ...this.state, ...change };
    this.listeners.forEach((listener) => listener());
  }
}

/** True when the stream is further behind than live viewing: used by the Go-live button. */
export function isBehind(snapshot: PlayerSnapshot): boolean {
  return snapshot.behind || snapshot.paused || (snapshot.latency ?? 0) > BEHIND_S;
}
