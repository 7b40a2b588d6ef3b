/** How a lost connection is taken up again. Pure: chance and time come from outside. */
import type { ClientFrame } from './protocol';
import type { RoomState } from './room';

/** First pause and the longest one, ms. */
export const PAUSE_MS = [400, 20_000] as const;

/**
 * How long to wait before attempt number `attempt` (0 is the first after a loss). `chance` in [0, 1)
 * spreads the clients of a room: thousands lose a server in the same moment. `hint` is the time in seconds
 * that a server which goes down asked for; clients come back within as long again.
 */
export function pauseBefore(attempt: number, chance: number, hint: number | null = null): number {
  const base = Math.min(PAUSE_MS[0] * 2 ** attempt, PAUSE_MS[1]);
  const own = base * (0.5 + chance / 2);
  return hint === null ? own : Math.max(own, hint * 1000 * (1 + chance));
}

/** What to join with: an offset and the epoch it belongs to, so that the gap can be filled. */
export function joinFrame(channel: string, { since, epoch }: RoomState): ClientFrame {
  return since === null || epoch === null
    ? { type: 'join', channel }
    : { type: 'join', channel, since, epoch };
}
