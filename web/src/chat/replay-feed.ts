/**
 * Keeps the chat of a video beside its playhead: asks for the parts that it comes to, once each and in
 * time, and tells when there is something new to show.
 */
import type { ReplayMessage } from '../api/videos';
import { PART_S, Replay } from './replay';

/** A part that failed is asked for again after this, ms. */
export const AGAIN_MS = 3000;

/** All that was said in a part of a video. */
export type LoadPart = (
  part: { from: number; to: number },
  signal: AbortSignal,
) => Promise<readonly ReplayMessage[]>;

export class ReplayFeed {
  readonly replay = new Replay();
  failed = false;
  private readonly asked = new Set<number>();
  private readonly abort = new AbortController();
  private readonly listeners = new Set<() => void>();
  private version = 0;
  private place = { at: 0, end: 0 };

  constructor(private readonly load: LoadPart) {}

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  /** Changes with what there is to show. */
  readonly snapshot = () => this.version;

  /** The playhead is there, in a video that is so long. */
  moved(at: number, end: number) {
    this.place = { at, end };
    for (const part of this.replay.wanted(at, end)) this.ask(part);
  }

  /** Where the playhead is, more may have been said meanwhile. */
  grown() {
    this.ask(Math.floor(this.place.at / PART_S));
  }

  /** A moderator deleted it. */
  remove(id: string) {
    this.replay.remove(id);
    this.tell();
  }

  close() {
    this.abort.abort();
    this.listeners.clear();
  }

  private ask(part: number) {
    const { signal } = this.abort;
    if (signal.aborted || this.asked.has(part)) return;
    this.asked.add(part);
    this.load({ from: part * PART_S, to: (part + 1) * PART_S }, signal).then(
      (messages) => {
        this.asked.delete(part);
        if (signal.aborted) return;
        this.replay.put(part, messages);
        this.failed = false;
        this.tell();
      },
      () => {
        if (signal.aborted) return;
        this.failed = true;
        setTimeout(() => {
          this.asked.delete(part);
          this.moved(this.place.at, this.place.end);
        }, AGAIN_MS);
        this.tell();
      },
    );
  }

  private tell() {
    this.version += 1;
    this.listeners.forEach((listener) => listener());
  }
}
