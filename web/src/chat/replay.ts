/**
 * The chat of a video beside its playhead. Pure: which parts of it are needed, and what is shown, is
 * decided here; asking is the panel's matter.
 */
import type { ReplayMessage } from '../api/videos';

/** Asked for at once, s of the video. */
export const PART_S = 120;
/** The next part is asked for this long before it is reached, s. */
const AHEAD_S = 45;
/** After a seek this much of what was said before is there to read, s. */
const BEFORE_S = PART_S;
/** Most messages that are shown. */
const MOST = 250;
/** Most parts that are kept, about an hour. */
const KEPT = 30;

export class Replay {
  private readonly parts = new Map<number, readonly ReplayMessage[]>();
  private readonly gone = new Set<string>();

  /** Parts to ask for with the playhead at `at`, the most urgent first. */
  wanted(at: number, end: number): number[] {
    const here = Math.floor(at / PART_S);
    const last = Math.floor(Math.max(0, end) / PART_S);
    const ahead = Math.floor((at + AHEAD_S) / PART_S);
    const before = Math.floor(Math.max(0, at - BEFORE_S) / PART_S);
    return [here, ahead, before].filter(
      (part, index, all) => part <= last && all.indexOf(part) === index && !this.parts.has(part),
    );
  }

  put(part: number, messages: readonly ReplayMessage[]) {
    this.parts.set(part, messages);
    for (const key of this.parts.keys()) {
      if (this.parts.size <= KEPT) break;
      this.parts.delete(key);
    }
  }

  /** A part that may have grown, or whose answer is old. */
  forget(part: number) {
    this.parts.delete(part);
  }

  /** A moderator deleted it. */
  remove(id: string) {
    this.gone.add(id);
  }

  /** What has been said up to `at`, the newest last. */
  said(at: number): ReplayMessage[] {
    const found: ReplayMessage[] = [];
    for (let part = Math.floor(at / PART_S); part >= 0; part -= 1) {
      const messages = this.parts.get(part);
      // Beyond a part that is not there nothing is known: what is shown has no holes.
      if (messages === undefined) break;
      const shown = messages.filter(({ at_s, id }) => at_s <= at && !this.gone.has(id));
      found.unshift(...shown);
      if (found.length >= MOST) break;
    }
    return found.slice(-MOST);
  }
}
