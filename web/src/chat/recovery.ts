/** How a lost connection is taken up again. Pure: chance and time come from outside. */
import { pauseBefore } from '../lib/pause';
import type { ClientFrame } from './protocol';
import type { RoomState } from './room';

const PAUSES_MS = [400, 20_000] as const;

/**
 * How long to wait before attempt number `attempt` (0 is the first after a loss), ms. `hint` is the time in
 * seconds that a server which goes down asked for; clients come back within as long again.
 */
export function pauseBeforeDialling(
  attempt: number,
  chance: number,
  hint: number | null = null,
): number {
  const own = pauseBefore(attempt, PAUSES_MS, chance);
  return hint === null ? own : Math.max(own, hint * 1000 * (1 + chance));
}

/** What to join with: an offset and the epoch it belongs to, so that the gap can be filled. */
export function joinFrame(channel: string, { since, epoch }: RoomState): ClientFrame {
  return since === null || epoch === null
    ? { type: 'join', channel }
    : { type: 'join', channel, since, epoch };
}
