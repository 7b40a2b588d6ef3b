/**
 * The latency control: pure arithmetic, no clock, no element, no hls.js. It is told what arrived and
 * where the playhead is, and answers how fast to play and whether to jump.
 *
 * Three numbers make it work, all in seconds:
 *
 * - the *edge clock*: where the end of the stream is at a moment between two playlists. Each playlist
 *   update gives `edge - now`; the largest of the last seconds came over the network the fastest, and
 *   is taken (the same idea as a voice receiver's jitter buffer);
 * - the *need*: how far behind that clock the end of the buffer fell at worst, just before a part
 *   landed. It holds the part's own length, the time to fetch it and all jitter, and does not depend
 *   on where the playhead is, so steering cannot feed back into it. Only the buffer's end is kept and
 *   compared with the clock of the moment: when the streamer's own clock slips, both slip;
 * - the *margin* kept above the need. A stall widens it; calm playback wears it down again, slowly.
 *
 * Playback opens at a keyframe, which may be seconds behind the edge. A large rest of that is not chased
 * but jumped: once, to the next keyframe, where the decoder goes on at once.
 *
 * The target is need + margin. PART-HOLD-BACK (RFC 8216bis, 4.4.3.8) is what is aimed at until enough has
 * been measured.
 */

export interface LatencyOptions {
  /** EXT-X-PART-INF PART-TARGET, s. */
  partTarget: number;
  /** PART-HOLD-BACK, s. */
  holdBack: number;
}

export interface PlayheadSample {
  /** Monotonic time, s. */
  now: number;
  /** Playhead on the media timeline, s. */
  position: number;
  /** False while paused, seeking, stalled, or when the viewer has chosen to stay behind. */
  steer: boolean;
}

export interface Steering {
  /** Distance from the playhead to the edge clock, s; null before the first playlist. */
  latency: number | null;
  /** What it is being brought to, s. */
  target: number;
  /** The playbackRate to set. */
  rate: number;
  /** Where to jump to, or null: only far behind, where a chase would take longer than it is worth. */
  seekTo: number | null;
}

/** Observations older than this no longer count, s. Longer than a GOP, so each kind of part is seen. */
const WINDOW_S = 30;
/** Nothing landing for longer than this is no jitter to be prepared for but an outage, s. */
const OUTAGE_S = 1.2;
/** The need is not trusted before this many parts have landed. */
const MIN_PARTS = 8;
/** What lands this soon after opening was held up by the page's own start, s. */
const SETTLING_S = 2;
/**
 * What lands before the buffer has reached the edge, within this many parts, was there before and only
 * had to be fetched. A network that never gets there is measured all the same, after a while, s.
 */
const CATCHING_UP = { parts: 1.5, lasts: 10 } as const;
/**
 * Margins, s. The least one covers what a decoder holds back (frame threads, B-frames) and one
 * timer tick; below it Chromium shows late frames though nothing stalls.
 */
const MARGIN = { least: 0.2, start: 0.25, most: 1.5, perStall: 0.2 } as const;
/** Calm playback wears the margin down by this, s per s, after this long without a stall, s. */
const WEAR = { perSecond: 0.02, after: 15 } as const;
/** The target falls at most this fast, s per s; it rises at once. */
const TARGET_FALL = 0.02;
/** Behind by more than this, jump, s. */
const SEEK_BEHIND_S = 3;
/**
 * Just opened, a jump goes to a keyframe, from this far behind on; while none has come, longer waits are
 * borne, s. The opening is over when the playhead is near its target, or after a while.
 */
const OPENING = { seekBehind: 0.7, bear: 15, near: 0.3, lasts: 20 } as const;
/** Correct when further off than `begin`, until within `end`, s. */
const DEADBAND = { begin: 0.05, end: 0.012 } as const;
/** Rates beyond these are heard; the far one is for a backlog of more than `farBehind` s. */
const RATE = {
  slowest: 0.96,
  fastest: 1.06,
  far: 1.1,
  farBehind: 1,
  gain: 0.16,
  step: 0.02,
} as const;

/** Values with their times, of which the largest in the window is asked for. */
class WindowMax {
  private items: { at: number; value: number }[] = [];

  push(at: number, value: number) {
    // Anything older and smaller can never be the largest again.
    while (this.items.length > 0 && (this.items.at(-1)?.value ?? 0) <= value) this.items.pop();
    this.items.push({ at, value });
  }

  max(now: number): number | null {
    while (this.items.length > 1 && (this.items[0]?.at ?? now) < now - WINDOW_S) this.items.shift();
    return this.items[0]?.value ?? null;
  }

  clear() {
    this.items = [];
  }
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

export class LatencyControl {
  private readonly edges = new WindowMax();
  /** How far the buffer's end had fallen behind our own clock just before a part landed, s. */
  private readonly lows = new WindowMax();
  private parts = 0;
  private firstLanded: number | null = null;
  private caughtUp = false;
  private lastLanded: number | null = null;
  /** After an outage, while what was held up arrives in a burst. */
  private recovering = false;
  private bufferEnd: number | null = null;
  private keyframe: number | null = null;
  private openedAt: number | null = null;
  private margin: number = MARGIN.start;
  private lastStall = -Infinity;
  private lastTick: number | null = null;
  private behind: number | null = null;
  private rate = 1;
  private correcting = false;

  constructor(private options: LatencyOptions) {}

  /** The playlist's own values, which may be known late or change with the rendition. */
  configure(options: LatencyOptions) {
    this.options = options;
  }

  /** A playlist arrived at `now` and the stream ends at `edge` on the media timeline. */
  edgeAt(now: number, edge: number) {
    this.edges.push(now, edge - now);
  }

  /** The newest place where a decoder can begin, on the media timeline. */
  keyframeAt(position: number) {
    this.keyframe = position;
  }

  /** A part landed in the buffer, which now ends at `bufferEnd`. */
  landed(now: number, bufferEnd: number) {
    const before = this.bufferEnd;
    const pause = this.lastLanded === null ? 0 : now - this.lastLanded;
    this.bufferEnd = bufferEnd;
    this.lastLanded = now;
    this.firstLanded ??= now;
    const opening = !this.caughtUp || now - this.firstLanded < SETTLING_S;
    this.caughtUp ||= this.reachesEdge(now, bufferEnd);
    // A jump of the timeline (new rendition, discontinuity, seek) says nothing about the network.
    if (before === null || bufferEnd <= before) return;
    if (bufferEnd - before > 4 * this.options.partTarget) return;
    if (pause > OUTAGE_S) this.recovering = true;
    else if (pause > this.options.partTarget / 2) this.recovering = false;
    if (this.recovering || opening) return;
    this.parts += 1;
    this.lows.push(now, now - before);
  }

  private reachesEdge(now: number, bufferEnd: number): boolean {
    const edge = this.edge(now) ?? Infinity;
    const { parts, lasts } = CATCHING_UP;
    return (
      edge - bufferEnd < parts * this.options.partTarget || now - (this.firstLanded ?? now) > lasts
    );
  }

  /** Playback ran dry at `now`. */
  stalled(now: number) {
    this.margin = Math.min(this.margin + MARGIN.perStall, MARGIN.most);
    this.lastStall = now;
  }

  /** Forget the network's past: another stream, rendition or connection. */
  restart() {
    this.edges.clear();
    this.lows.clear();
    this.parts = 0;
    this.bufferEnd = null;
    this.keyframe = null;
    this.openedAt = null;
    this.firstLanded = null;
    this.caughtUp = false;
    this.lastLanded = null;
    this.recovering = false;
    this.lastTick = null;
    this.behind = null;
    this.rate = 1;
    this.correcting = false;
  }

  /** The end of the stream at `now` on the media timeline, or null before the first playlist. */
  edge(now: number): number | null {
    const offset = this.edges.max(now);
    return offset === null ? null : now + offset;
  }

  /** One step of the control; call it several times a second. */
  tick({ now, position, steer }: PlayheadSample): Steering {
    const offset = this.edges.max(now);
    if (offset === null) return { latency: null, target: this.unmeasured(), rate: 1, seekTo: null };
    const behind = this.aim(now, offset);
    const latency = now + offset - position;
    const target = behind + offset;
    const error = latency - target;
    const seekTo = steer ? this.jump(now, position, error) : null;
    if (!steer || seekTo !== null) {
      this.rate = 1;
      this.correcting = false;
    } else this.rate = this.steered(error);
    return { latency, target, rate: this.rate, seekTo };
  }

  /** Where to jump to from `position`, which is `error` s further behind than it should be. */
  private jump(now: number, position: number, error: number): number | null {
    if (this.opening(now, error)) {
      const ahead = this.keyframe === null ? 0 : this.keyframe - position;
      // Not beyond the target, however soon the keyframe is there, and not for a small part of the way.
      if (error > OPENING.seekBehind && ahead > error / 2 && ahead <= error) return this.keyframe;
      if (error < OPENING.bear) return null;
    }
    return error > SEEK_BEHIND_S ? position + error : null;
  }

  /** Whether the playhead is still on its way from where playback began. */
  private opening(now: number, error: number): boolean {
    this.openedAt ??= now;
    const over = error < OPENING.near || now - this.openedAt > OPENING.lasts;
    if (over) this.openedAt = -Infinity;
    return !over;
  }

  /** The target while nothing has been measured. */
  private unmeasured(): number {
    return this.options.holdBack + this.margin - MARGIN.start;
  }

  /**
   * How far the playhead shall be behind our own clock. Kept in these terms and not as a distance from
   * the edge, because the edge clock is revised at once when the stream's time slips.
   */
  private aim(now: number, offset: number): number {
    const elapsed = this.lastTick === null ? 0 : Math.max(0, now - this.lastTick);
    this.lastTick = now;
    if (now - this.lastStall > WEAR.after) {
      this.margin = Math.max(MARGIN.least, this.margin - WEAR.perSecond * elapsed);
    }
    const low = this.lows.max(now);
    if (low === null || this.parts < MIN_PARTS) {
      this.behind = this.unmeasured() - offset;
      return this.behind;
    }
    const wanted = Math.max(low, this.options.partTarget - offset) + this.margin;
    this.behind = Math.max(wanted, (this.behind ?? wanted) - TARGET_FALL * elapsed);
    return this.behind;
  }

  /** The next rate for an error in s: proportional, in hearable limits, in steps, with a dead band. */
  private steered(error: number): number {
    const off = Math.abs(error);
    if (!this.correcting && off > DEADBAND.begin) this.correcting = true;
    else if (this.correcting && off < DEADBAND.end) this.correcting = false;
    if (!this.correcting) return 1;
    const fastest = error > RATE.farBehind ? RATE.far : RATE.fastest;
    const wanted = clamp(1 + error * RATE.gain, RATE.slowest, fastest);
    // At least one step of 0.01, or a small error would be chased for ever.
    const least = 1 + Math.sign(error) * 0.01;
    const effective = error > 0 ? Math.max(wanted, least) : Math.min(wanted, least);
    const next = clamp(effective, this.rate - RATE.step, this.rate + RATE.step);
    return Math.round(next * 100) / 100;
  }
}
