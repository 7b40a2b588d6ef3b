/**
 * A channel page opened directly starts its player before the page itself: hls.js is fetching parts
 * while React and the controls are still being parsed. The page then takes the player over.
 */
import type { Answer } from '../api/live-state';
import { ChannelPlayer } from './channel-player';
import { streamOf } from './snapshot';

let waiting: { login: string; player: ChannelPlayer } | null = null;

/** Resolves when there is something to show, or nothing to wait for. */
export async function openEarly(login: string, answer: Promise<Answer>) {
  const player = new ChannelPlayer();
  waiting = { login, player };
  try {
    const { live, clock } = await answer;
    // Taken over meanwhile: the page tells it what to do from here on.
    if (!isWaiting(player)) return;
    player.follow(streamOf(live), clock.offsetMs);
    if (live.state !== 'offline') await player.hasData();
  } catch {
    // The page asks again, and says so when it cannot.
  }
}

function isWaiting(player: ChannelPlayer): boolean {
  return waiting?.player === player;
}

/** The player that was started for this channel, once; null when there is none. */
export function takeEarly(login: string): ChannelPlayer | null {
  const found = waiting?.login === login ? waiting.player : null;
  if (found === null) waiting?.player.destroy();
  waiting = null;
  return found;
}
