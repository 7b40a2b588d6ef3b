/**
 * Plays one channel's live stream in one <video>: hls.js (or the browser's own HLS where there is no
 * Media Source), steered by `LatencyControl`, mended by itself when the network or the stream breaks.
 *
 * The page tells it what the channel's live state says (`follow`); it tells the page what to show
 * (`subscribe` / `snapshot`). It never guesses the stream's state from failed requests.
 */
import Hls, { Events, type ErrorData } from 'hls.js/light';
import { bufferEnd, isBuffered, seekInside } from './buffered';
import { publishFigures, unpublishFigures } from './figures';
import {
  PAUSE_KEPT_S,
  INTO_KEYFRAME_S,
  aimAtKeyframe,
  liveConfig,
  newestKeyframe,
  rememberBandwidth,
} from './hls-config';
import { KeepUp } from './keep-up';
import { LatencyControl } from './latency';
import { showQualities } from './levels';
import { Retry, causeOf } from './retry';
import type { Screen } from './screen';
import type { QualityChoice, StreamPosition } from './snapshot';
import { Watchdog } from './watchdog';

const TICK_MS = 100;
/** Snapshots for the eye need not be faster than this, ms. */
const TELL_MS = 250;

/** Without Media Source the browser's own HLS plays. */
const PLAYS_NATIVELY = !Hls.isSupported();

const seconds = () => performance.now() / 1000;

export class LivePlayer {
  private hls: Hls | null = null;
  private stream: StreamPosition | null = null;
  private readonly control = new LatencyControl({ partTarget: 0.2, holdBack: 0.6 });
  private readonly watchdog = new Watchdog();
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly retry = new Retry(() => this.open());
  private lastTell = 0;
  private clockOffsetMs = 0;
  private audioUrl: string | null = null;
  private mediaRecoveries = 0;
  private stalls = 0;
  private pausedAt: number | null = null;
  private frozen = false;
  private onData: (() => void) | null = null;
  private target = 0.6;
  private edgeLatency: number | null = null;
  private dead = false;

  /** Something else plays on the screen. */
  private away = false;
  private keepUp: KeepUp;

  constructor(
    readonly screen: Screen,
    /** What to do instead of going live when play is pressed long after a pause; false: nothing. */
    private readonly onLongPause: () => boolean = () => false,
  ) {
    const on = (type: keyof HTMLMediaElementEventMap, handle: () => void) =>
      screen.on(type, () => {
        if (!this.away) handle();
      });
    on('waiting', () => this.onWaiting());
    on('playing', () => this.onPlaying());
    on('pause', () => this.onPause());
    on('play', () => this.onPlay());
    on('error', () => this.onNativeError());
    screen.onWindow('online', () => this.onOnline());
    this.keepUp = new KeepUp(screen.video);
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.publish();
  }

  /** Leave the screen to something else; `open` comes back to it. */
  leave() {
    this.away = true;
    this.retry.stop();
    if (this.screen.state.started) rememberBandwidth(this.hls);
    this.hls?.destroy();
    this.hls = null;
  }

  /** Come back to the screen, at the live edge. */
  enter() {
    this.away = false;
    this.open();
  }

  /** The wall clock of the picture that is shown, s; null while unknown. */
  wall(): number | null {
    const shown = this.hls?.playingDate ?? null;
    return shown === null ? null : shown.getTime() / 1000;
  }

  /** The wall clock of the live edge, s; null while unknown. */
  edgeWall(): number | null {
    const wall = this.wall();
    return wall === null || this.edgeLatency === null ? null : wall + this.edgeLatency;
  }

  /** The server's clock, s. */
  now(): number {
    return (Date.now() + this.clockOffsetMs) / 1000;
  }

  /** Go to a moment that is still buffered. False where it is not. */
  seekWall(wall: number): boolean {
    const shown = this.wall();
    const { video } = this.screen;
    const to = shown === null ? null : video.currentTime + wall - shown;
    if (to === null || !isBuffered(video, to)) return false;
    video.currentTime = to;
    this.screen.set({ behind: true });
    return true;
  }

  /** The channel's live state changed. Null: offline; what is on the screen stays there. */
  follow(stream: StreamPosition | null, clockOffsetMs: number) {
    this.clockOffsetMs = clockOffsetMs;
    const before = this.stream;
    this.stream = stream;
    if (stream === null) {
      this.stop();
      return;
    }
    if (this.away) return;
    if (before?.session !== stream.session || (this.hls === null && !PLAYS_NATIVELY)) {
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
    this.screen.set({ behind: false });
    if (edge !== null) seekInside(this.screen.video, edge - this.target);
    void this.screen.play();
  }

  /** Step back or forward inside what is still buffered, s. */
  step(by: number) {
    const { buffered, currentTime } = this.screen.video;
    if (buffered.length === 0) return;
    const to = Math.max(buffered.start(0) + 0.1, currentTime + by);
    if (to >= buffered.end(buffered.length - 1) - this.target) this.goLive();
    else {
      this.screen.video.currentTime = to;
      this.screen.set({ behind: true });
    }
  }

  choose(choice: QualityChoice) {
    const wasAudio = this.screen.state.audioOnly;
    this.screen.set({ choice, audioOnly: choice === 'audio' });
    if ((choice === 'audio') !== wasAudio) this.open();
    else if (this.hls) this.hls.loadLevel = choice === 'auto' ? -1 : Number(choice);
  }

  destroy() {
    this.dead = true;
    clearInterval(this.timer);
    this.retry.stop();
    this.hls?.destroy();
    this.hls = null;
    this.screen.destroy();
    unpublishFigures();
  }

  // --- opening and mending -------------------------------------------------------------------

  /** Load the stream from nothing: a new broadcast, another kind of rendition, or after a failure. */
  private open() {
    this.retry.stop();
    const { stream } = this;
    if (stream === null || this.dead || this.away) return;
    if (this.screen.state.started) rememberBandwidth(this.hls);
    this.hls?.destroy();
    this.hls = null;
    this.control.restart();
    this.keepUp = new KeepUp(this.screen.video);
    this.watchdog.restart(seconds());
    this.screen.set({ started: false, waiting: true, behind: false, blocked: false, fault: null });
    if (PLAYS_NATIVELY) {
      this.openNatively(stream.url);
      return;
    }
    const hls = new Hls(liveConfig());
    this.hls = hls;
    this.listen(hls);
    hls.loadSource(this.screen.state.audioOnly && this.audioUrl ? this.audioUrl : stream.url);
    hls.attachMedia(this.screen.video);
    void this.screen.play();
  }

  private openNatively(url: string) {
    if (this.screen.video.canPlayType('application/vnd.apple.mpegurl') === '') {
      this.screen.set({ fault: 'unplayable', waiting: false });
      return;
    }
    this.screen.video.src = url;
    void this.screen.play();
  }

  private listen(hls: Hls) {
    showQualities(hls, Hls, this.screen, (url) => (this.audioUrl = url));
    hls.on(Events.LEVEL_UPDATED, (_, { details }) => {
      this.retry.worked();
      if (details.partTarget) {
        this.control.configure({
          partTarget: details.partTarget,
          holdBack: details.partHoldBack || details.partTarget * 3,
        });
      }
      const keyframe = newestKeyframe(details);
      if (keyframe !== null) this.control.keyframeAt(keyframe + INTO_KEYFRAME_S);
      if (!this.screen.state.started) aimAtKeyframe(hls, details.edge, keyframe);
      if (details.advanced && details.live) this.control.edgeAt(seconds(), details.edge);
      if (this.screen.state.fault === 'network') this.screen.set({ fault: null });
    });
    hls.on(Events.BUFFER_APPENDED, () => this.onAppended());
    hls.on(Events.FRAG_BUFFERED, () => {
      const end = bufferEnd(this.screen.video);
      if (end !== null) this.control.landed(seconds(), end);
    });
    hls.on(Events.ERROR, (_, data) => this.onError(hls, data));
  }

  /** Show the first picture at once; hls.js would load every part there is before it seeks there. */
  private onAppended() {
    const { buffered, currentTime } = this.screen.video;
    if (this.screen.state.started || buffered.length === 0) return;
    const start = buffered.start(0) + INTO_KEYFRAME_S;
    if (currentTime < start) this.screen.video.currentTime = start;
    this.onData?.();
    this.onData = null;
  }

  private onError(hls: Hls, data: ErrorData) {
    if (!data.fatal || hls !== this.hls) return;
    const cause = causeOf(data, hls.levels.length);
    if (cause === 'codecs') {
      this.screen.set({ fault: 'unplayable', waiting: false });
    } else if (cause === 'decoder' && this.mediaRecoveries++ === 0) {
      // Once by flushing the decoder; a second time within one opening by opening anew.
      hls.recoverMediaError();
      void this.screen.play();
    } else this.mend();
  }

  private onNativeError() {
    if (PLAYS_NATIVELY && this.stream) this.mend();
  }

  /** Open anew after a pause that grows; a network that returns cuts it short. */
  private mend() {
    if (this.stream === null || this.dead) return;
    this.hls?.destroy();
    this.hls = null;
    this.mediaRecoveries = 0;
    this.screen.set({ fault: 'network', waiting: true });
    this.retry.later();
  }

  private onOnline() {
    if (this.away) return;
    this.retry.worked();
    if (this.stream && this.hls === null && !PLAYS_NATIVELY) this.open();
    else this.hls?.startLoad();
  }

  /** The streamer is back: go on where the last picture stands. */
  private resume() {
    this.watchdog.restart(seconds(), this.screen.video.currentTime);
    if (this.hls === null) this.open();
    else this.hls.startLoad();
    void this.screen.play();
  }

  /** The broadcast is over: keep its last picture, stop asking for more. */
  private stop() {
    this.retry.stop();
    if (this.screen.state.started) rememberBandwidth(this.hls);
    this.hls?.stopLoad();
    this.audioUrl = null;
    if (!this.away) {
      this.screen.set({ waiting: false, fault: null, behind: false, latency: null });
    }
  }

  // --- playing -------------------------------------------------------------------------------

  private onWaiting() {
    if (this.screen.video.seeking || this.stream === null) return;
    if (this.screen.state.started && this.stream.state === 'live') {
      this.stalls += 1;
      this.control.stalled(seconds());
    }
    this.frozen = true;
    this.screen.set({ waiting: true });
  }

  private onPlaying() {
    this.frozen = false;
    this.mediaRecoveries = 0;
    this.screen.set({ started: true, waiting: false, blocked: false, paused: false, fault: null });
  }

  private onPause() {
    this.pausedAt = seconds();
    this.screen.set({ paused: true });
  }

  private onPlay() {
    const pausedFor = this.pausedAt === null ? 0 : seconds() - this.pausedAt;
    this.pausedAt = null;
    this.screen.set({ paused: false });
    if (pausedFor > PAUSE_KEPT_S) {
      if (!this.onLongPause()) this.goLive();
    } else if (pausedFor > 1) this.screen.set({ behind: true });
  }

  private tick() {
    const { hls } = this;
    const { video } = this.screen;
    if (this.stream === null || hls === null) return;
    const now = seconds();
    const playing = !video.paused && !video.seeking && !this.frozen && this.screen.state.started;
    const out = this.control.tick({
      now,
      position: video.currentTime,
      steer: playing && !this.screen.state.behind && this.stream.state === 'live',
    });
    this.target = out.target;
    this.edgeLatency = this.screen.state.started ? out.latency : null;
    if (out.seekTo !== null) this.keepUp.jump(hls, out.seekTo, now);
    if (this.screen.state.started) this.keepUp.limit(hls, now);
    if (video.playbackRate !== out.rate) video.playbackRate = out.rate;
    if (this.screen.state.behind && out.latency !== null && out.latency < out.target + 0.5) {
      this.screen.set({ behind: false });
    }
    this.watchProgress(now);
    this.publish();
    if (now * 1000 - this.lastTell >= TELL_MS) {
      this.lastTell = now * 1000;
      this.screen.set({ latency: this.glassLatency(hls) });
    }
  }

  /** By PROGRAM-DATE-TIME against the server's clock: what the viewer is really behind. */
  private glassLatency(hls: Hls): number | null {
    const shown = hls.playingDate;
    if (shown === null || !this.screen.state.started) return this.edgeLatency;
    return (Date.now() + this.clockOffsetMs - shown.getTime()) / 1000;
  }

  /** A player that should play and does not, for whatever reason, is built anew. */
  private watchProgress(now: number) {
    const { video } = this.screen;
    const idle = video.paused || this.stream?.state !== 'live' || document.hidden;
    if (this.watchdog.stuck(now, video.currentTime, idle)) this.open();
  }

  private publish() {
    publishFigures(this.screen.video, {
      latency: this.screen.state.latency,
      edgeLatency: this.edgeLatency,
      target: this.target,
      stalls: this.stalls,
    });
  }
}
