import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ReplayMessage } from '../api/videos';
import { mediaAt, type Run } from '../player/scale';
import { AGAIN_MS, ReplayFeed, type LoadPart } from './replay-feed';

/** A broadcast of ten minutes with a reconnect of 30 s after the fourth, in seconds. */
const GAP_S = 30;
const RUNS: readonly Run[] = [
  { start: 0, wall: 1000, duration: 240 },
  { start: 240, wall: 1240 + GAP_S, duration: 360 },
];
const END_S = 600;
/** How often the player says where it is, ms. */
const TICK_MS = 250;
const ANSWER_MS = 300;

/** Something is said every 0.7 s of the wall clock, also while the picture was away. */
const CONVERSATION: readonly ReplayMessage[] = Array.from({ length: 900 }, (_, n) => {
  const wall = 1000.2 + n * 0.7;
  return {
    at_s: mediaAt(RUNS, wall) ?? 0,
    id: String(n),
    ts: new Date(wall * 1000).toISOString(),
    user: { id: '1', login: 'ana', name: 'Ana' },
    text: `at ${wall}`,
  };
}).filter(({ at_s }) => at_s < END_S);

const answer: LoadPart = ({ from, to }) =>
  new Promise((resolve) =>
    setTimeout(
      () => resolve(CONVERSATION.filter(({ at_s }) => at_s >= from && at_s < to)),
      ANSWER_MS,
    ),
  );

/** A player of the video and what its viewer sees of the chat. */
class Viewing {
  readonly feed: ReplayFeed;
  at = 0;
  rate = 1;
  /** How late or early, in seconds of the wall clock, messages came; kept for the worst. */
  worst = 0;
  private settling = true;
  private readonly seen = new Set<string>();

  constructor(load: LoadPart = answer) {
    this.feed = new ReplayFeed(load);
    this.feed.subscribe(() => this.look());
    this.feed.moved(0, END_S);
  }

  private look() {
    if (this.settling) return;
    for (const { id, at_s } of this.feed.replay.said(this.at)) {
      if (this.seen.has(id)) continue;
      this.seen.add(id);
      this.worst = Math.max(this.worst, Math.abs(this.at - at_s) / this.rate);
    }
  }

  /** What is on the screen. */
  get shown(): string[] {
    return this.feed.replay.said(this.at).map(({ id }) => id);
  }

  async play(seconds: number) {
    this.settling = false;
    for (let ms = 0; ms < seconds * 1000; ms += TICK_MS) {
      this.at = Math.min(END_S, this.at + (TICK_MS / 1000) * this.rate);
      this.feed.moved(this.at, END_S);
      this.look();
      await vi.advanceTimersByTimeAsync(TICK_MS);
    }
  }

  /** Elsewhere; a second later all that was said until then is there. */
  async seek(to: number) {
    this.at = to;
    this.settling = true;
    this.feed.moved(to, END_S);
    await vi.advanceTimersByTimeAsync(1000);
    this.seen.clear();
    for (const { id } of this.feed.replay.said(to)) this.seen.add(id);
  }
}

/** What belongs on the screen at a place: the last of what was said until then. */
function due(at: number, count: number): string[] {
  const said = CONVERSATION.filter(({ at_s }) => at_s <= at).map(({ id }) => id);
  return said.slice(-count);
}

describe('a chat that follows its playhead', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it.each([1, 2])('shows each message within a second of its place at %dx', async (rate) => {
    const viewing = new Viewing();
    viewing.rate = rate;
    await viewing.play(END_S / rate);
    expect(viewing.at).toBe(END_S);
    expect(viewing.shown.slice(-100)).toEqual(due(END_S, 100));
    expect(viewing.worst).toBeLessThanOrEqual(1);
  });

  it.each([
    ['forwards', 20, [200, 300, 590]],
    ['backwards', 590, [400, 239, 5]],
    ['over the reconnect and back', 236, [244, 236, 244]],
    ['without leaving the part', 130, [180, 125, 239]],
  ])('is right after seeks %s', async (_, from, places) => {
    const viewing = new Viewing();
    await viewing.seek(from);
    for (const [n, place] of places.entries()) {
      viewing.rate = 1 + (n % 2);
      await viewing.seek(place);
      const before = viewing.shown;
      expect(before).toEqual(due(place, before.length));
      expect(before.length).toBeGreaterThanOrEqual(Math.min(5, due(place, 5).length));
      await viewing.play(10);
      expect(viewing.shown.at(-1)).toBe(due(viewing.at, 1)[0]);
      expect(viewing.worst).toBeLessThanOrEqual(1);
    }
  });

  it('puts what was said while the picture was away where it goes on', () => {
    const during = CONVERSATION.filter(({ ts }) => {
      const wall = Date.parse(ts) / 1000;
      return wall > 1240 && wall < 1240 + GAP_S;
    });
    expect(during.length).toBeGreaterThan(40);
    expect(new Set(during.map(({ at_s }) => at_s))).toEqual(new Set([240]));
  });

  it('asks for each part once, and again after a failure', async () => {
    const asked: number[] = [];
    let broken = true;
    const viewing = new Viewing((part, signal) => {
      asked.push(part.from);
      return broken ? Promise.reject(new Error('away')) : answer(part, signal);
    });
    await viewing.play(2);
    expect([asked, viewing.feed.failed]).toEqual([[0], true]);
    broken = false;
    await viewing.play((AGAIN_MS + ANSWER_MS) / 1000);
    expect([asked, viewing.feed.failed]).toEqual([[0, 0], false]);
    expect(viewing.shown.at(-1)).toBe(due(viewing.at, 1)[0]);
    viewing.feed.close();
    await viewing.play(120);
    expect(asked).toEqual([0, 0]);
  });
});
