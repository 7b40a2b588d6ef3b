/**
 * The channel's live state by long poll: the edge answers the moment it changes, so an open page
 * learns of start, cut and stop at once, at the cost of one idle request.
 */
import { pauseBefore } from '../lib/pause';
import type { LiveState } from './types';

export interface LiveView {
  live: LiveState;
  /** Server clock minus ours, ms, from the answer that travelled fastest. */
  clockOffsetMs: number;
}

const PAUSES_MS = [700, 10_000] as const;
/** How often a tab in the background asks. It holds no request: browsers allow six a server for all tabs together. */
const HIDDEN_MS = 5000;
/** Give up on a held request after this long, ms: the edge holds at most 25 s. */
const HELD_MS = 40_000;
/** While live ask anew after this long, ms: how many watch is no change that ends the wait. */
const COUNT_MS = [4000, 10_000] as const;

interface Clock {
  offsetMs: number;
  roundTripMs: number;
}

/** The better of two estimates; a held answer's round trip is unknown, so only immediate ones count. */
export function betterClock(old: Clock | null, fresh: Clock): Clock {
  return old === null || fresh.roundTripMs <= old.roundTripMs ? fresh : old;
}

export interface Answer {
  live: LiveState;
  clock: Clock;
}

async function ask(
  login: string,
  version: LiveState['version'] | null,
  signal: AbortSignal,
  patienceMs: number = HELD_MS,
): Promise<Answer> {
  const query = version === null ? '' : `?v=${encodeURIComponent(String(version))}`;
  const sent = Date.now();
  const response = await fetch(`/live/${encodeURIComponent(login)}/state${query}`, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
    cache: 'no-store',
  });
  if (!response.ok) throw new Error(`live state answered ${response.status}`);
  const live = (await response.json()) as LiveState;
  const received = Date.now();
  const roundTripMs = received - sent;
  const offsetMs = Date.parse(live.server_time) + roundTripMs / 2 - received;
  return { live, clock: { offsetMs, roundTripMs } };
}

/** A first answer asked for before React has even started, by the entry script of a channel page. */
let early: { login: string; answer: Promise<Answer> } | null = null;

export function askEarly(login: string): Promise<Answer> {
  const answer = ask(login, null, new AbortController().signal);
  answer.catch(() => undefined);
  early = { login, answer };
  return answer;
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const heard = new AbortController();
    const done = () => {
      clearTimeout(timer);
      heard.abort();
      resolve();
    };
    const timer = setTimeout(done, ms);
    const once = { once: true, signal: heard.signal };
    // A machine that comes back to its network, and a tab that is looked at again, ask at once.
    addEventListener('online', done, once);
    document.addEventListener('visibilitychange', done, once);
    signal.addEventListener('abort', done, once);
  });
}

export async function follow(login: string, signal: AbortSignal, tell: (view: LiveView) => void) {
  let version: LiveState['version'] | null = null;
  let clock: Clock | null = null;
  let failures = 0;
  let patienceMs = HELD_MS;
  let answers = 0;
  const stopped = () => signal.aborted;
  while (!stopped()) {
    try {
      const first = early?.login === login ? early.answer : null;
      early = null;
      const { live, clock: fresh }: Answer = await (first ??
        ask(login, version, signal, patienceMs));
      clock = betterClock(clock, fresh);
      version = live.version;
      failures = 0;
      answers += 1;
      patienceMs = live.state === 'live' ? COUNT_MS[answers > 1 ? 1 : 0] : HELD_MS;
      if (!stopped()) tell({ live, clockOffsetMs: clock.offsetMs });
      if (document.hidden) {
        await wait(HIDDEN_MS, signal);
        version = null;
      }
    } catch (error) {
      if (stopped()) return;
      if (patienceMs < HELD_MS && error instanceof DOMException && error.name === 'TimeoutError') {
        version = null;
        continue;
      }
      await wait(pauseBefore(failures++, PAUSES_MS), signal);
      // Ask afresh: whatever happened meanwhile is answered at once.
      version = null;
    }
  }
}
