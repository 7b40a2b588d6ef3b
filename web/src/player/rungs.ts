/**
 * A ceiling for the automatic choice of quality, from what low-latency playback shows: pure.
 *
 * hls.js judges bandwidth by how fast bodies arrive. Parts of a fifth of a second are so small that
 * this says little, most of all when a full queue delays their first byte. What cannot deceive is
 * the lag: how much the playlist already offers that the buffer has not got. When it grows, the
 * quality is too high for this connection, whatever the estimate says.
 */

export interface Delivery {
  /** Monotonic time, s. */
  now: number;
  /** End of the newest playlist minus end of the buffer, s. */
  lag: number;
  /** The level that is being loaded, 0 the lowest. */
  level: number;
  /** The highest level there is. */
  top: number;
}

/** A lag beyond this is no jitter, s. */
const LATE_S = 1.5;
/** For this long, s: a single late part is not enough. */
const LATE_FOR_S = 0.6;
/** One step down must show before the next, s. */
const SETTLE_S = 4;
/** Calm for this long, and the next quality is tried, s. Doubled after each attempt that failed. */
const CALM_S = 20;
const MOST_CALM_S = 320;
/** An attempt that fails within this has failed, s. */
const TRIAL_S = 20;

export class RungCeiling {
  private ceiling = Infinity;
  private lateSince: number | null = null;
  private changed = -Infinity;
  private raised = -Infinity;
  private calm = CALM_S;

  /** The highest level that may be chosen, -1 for any. */
  update({ now, lag, level, top }: Delivery): number {
    if (lag > LATE_S) {
      this.lateSince ??= now;
      if (now - this.lateSince >= LATE_FOR_S && now - this.changed >= SETTLE_S && level > 0) {
        if (now - this.raised < TRIAL_S) this.calm = Math.min(this.calm * 2, MOST_CALM_S);
        this.ceiling = Math.min(level, this.ceiling) - 1;
        this.changed = now;
      }
    } else {
      this.lateSince = null;
      if (this.ceiling < top && now - this.changed >= this.calm) {
        this.ceiling += 1;
        this.changed = this.raised = now;
      }
    }
    if (this.ceiling >= top && now - this.raised >= TRIAL_S) this.calm = CALM_S;
    return this.ceiling >= top ? -1 : Math.max(0, this.ceiling);
  }
}
