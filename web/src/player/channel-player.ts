/**
 * Plays a channel: its live edge and, as far back as the running broadcast began, the record of it. Both
 * share one screen; the line under the picture counts in seconds of the wall clock since the beginning,
 * so that it does not leap when one takes over from the other.
 */
import Hls from 'hls.js/light';
import { LivePlayer } from './engine';
import { Recording } from './recording';
import type { Timeline } from './scale';
import { Screen } from './screen';
import type { QualityChoice, StreamPosition } from './snapshot';

/** The record of the running broadcast. */
export interface Broadcast {
  /** Path of the multivariant playlist that reaches back to its start. */
  url: string;
  /** When it began, s since the epoch. */
  startedAt: number;
}

const TICK_MS = 250;
/** What is nearer to the live edge than this is live, s: the record is a few segments behind. */
const LIVE_S = 6;

export class ChannelPlayer {
  readonly screen: Screen;
  private readonly live: LivePlayer;
  private readonly recording: Recording;
  private readonly timer: ReturnType<typeof setInterval>;
  private broadcast: Broadcast | null = null;
  private session: string | null = null;
  private pausedWall: number | null = null;
  /** How old the newest picture is that can be watched, s; as it was when last seen. */
  private edgeLag = 0;

  constructor({ startMuted = false }: { startMuted?: boolean } = {}) {
    this.screen = new Screen(!startMuted);
    this.live = new LivePlayer(this.screen, () => this.afterLongPause());
    this.recording = new Recording(this.screen, Hls, {
      onCaughtUp: () => this.goLive(),
      line: (own) => this.lineOf(own),
    });
    this.screen.on('pause', () => {
      this.pausedWall = this.wall();
    });
    this.screen.on('ended', () => this.endOfRecord());
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** The channel's live state changed. A viewer who has rewound stays in the record, also past its end. */
  follow(stream: StreamPosition | null, clockOffsetMs: number) {
    const another = stream !== null && stream.session !== this.session;
    if (stream !== null) this.session = stream.session;
    if (another && this.rewound) this.leaveRecord();
    this.live.follow(stream, clockOffsetMs);
    if (stream === null && !this.rewound) this.screen.set({ timeline: null });
  }

  /** Where the running broadcast can be rewound; null where it cannot. */
  recorded(broadcast: Broadcast | null) {
    this.broadcast = broadcast;
    if (broadcast === null && !this.rewound) this.screen.set({ timeline: null });
    else this.tick();
  }

  hasData(): Promise<void> {
    return this.live.hasData();
  }

  goLive() {
    if (this.rewound) {
      this.leaveRecord();
      this.live.enter();
    } else this.live.goLive();
  }

  /** To a time of the line, s. */
  seekTo(at: number) {
    if (this.broadcast === null) return;
    const wall = this.broadcast.startedAt + at;
    if (this.edge() - wall < LIVE_S) this.goLive();
    else if (this.rewound) this.recording.seek({ wall });
    else if (!this.live.seekWall(wall)) this.rewind(wall);
  }

  step(by: number) {
    const wall = this.wall();
    if (this.broadcast === null || wall === null) this.live.step(by);
    else this.seekTo(wall + by - this.broadcast.startedAt);
  }

  /** The record's own time at a time of the line, for its storyboard; the same where nothing is known. */
  mediaAt(at: number): number {
    const wall = (this.broadcast?.startedAt ?? 0) + at;
    return this.recording.mediaOf({ wall }) ?? at;
  }

  /** The other way round, for its chapters. */
  lineAt(media: number): number {
    const wall = this.recording.wallOf(media);
    return wall === null ? media : wall - (this.broadcast?.startedAt ?? 0);
  }

  choose(choice: QualityChoice) {
    if (this.rewound) this.recording.choose(choice);
    else this.live.choose(choice);
  }

  setRate(rate: number) {
    if (this.rewound) this.recording.setRate(rate);
  }

  destroy() {
    clearInterval(this.timer);
    this.recording.close();
    this.live.destroy();
  }

  private get rewound(): boolean {
    return this.recording.isOpen;
  }

  /** The wall clock of the live edge, s. */
  private edge(): number {
    return this.live.now() - this.edgeLag;
  }

  private wall(): number | null {
    return this.rewound ? this.recording.wall() : this.live.wall();
  }

  private rewind(wall: number) {
    const { broadcast } = this;
    if (broadcast === null) return;
    const { paused } = this.screen.video;
    this.live.leave();
    this.screen.set({ rewound: true, behind: true });
    this.recording.open({ url: broadcast.url, from: { wall }, paused });
  }

  private leaveRecord() {
    this.recording.setRate(1);
    this.recording.close();
    this.screen.set({ rewound: false, behind: false, ended: false });
  }

  /** The broadcast is over and so is its record: what the page says of it shows again. */
  private endOfRecord() {
    if (this.rewound) this.leaveRecord();
  }

  /** Go on where it was paused, as far as that is recorded. */
  private afterLongPause(): boolean {
    const wall = this.pausedWall;
    if (this.broadcast === null || wall === null || this.rewound) return false;
    this.live.leave();
    this.screen.set({ rewound: true, behind: true });
    this.recording.open({ url: this.broadcast.url, from: { wall } });
    return true;
  }

  /** What the line shows of the record. */
  private lineOf(own: Timeline): Timeline | null {
    const { broadcast } = this;
    const wall = this.recording.wallOf(own.at);
    if (broadcast === null || wall === null) return null;
    const at = wall - broadcast.startedAt;
    this.screen.set({ latency: this.live.now() - wall });
    const end = this.recording.grows ? this.edge() : (this.recording.wallOf(own.end) ?? wall);
    return { start: 0, end: end - broadcast.startedAt, at, buffered: at + own.buffered - own.at };
  }

  private tick() {
    const { broadcast } = this;
    if (broadcast === null || this.rewound) return;
    const wall = this.live.wall();
    if (wall === null) return;
    this.edgeLag = this.live.now() - (this.live.edgeWall() ?? wall);
    const at = wall - broadcast.startedAt;
    const end = Math.max(at, this.edge() - broadcast.startedAt);
    this.screen.set({ timeline: { start: 0, end, at, buffered: end } });
  }
}
