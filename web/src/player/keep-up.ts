import type Hls from 'hls.js/light';
import { bufferEnd } from './buffered';
import { RungCeiling } from './rungs';

/** Data missing by more than this is given up and skipped, s. */
const SKIP_S = 2;
/** One jump must show before the next, s. */
const JUMP_PAUSE_S = 4;

/** What is done when a connection does not keep up with a live stream. Times in s. */
export class KeepUp {
  private readonly rungs = new RungCeiling();
  private lastJump = -Infinity;

  constructor(private readonly video: HTMLVideoElement) {}

  /** Jump ahead when far behind: inside the buffer, or over what this connection did not bring. */
  jump(hls: Hls, to: number, now: number) {
    if (now - this.lastJump < JUMP_PAUSE_S) return;
    const end = bufferEnd(this.video);
    const buffered = end !== null && to < end - 0.1;
    if (!buffered && this.lag(hls) < SKIP_S) return;
    this.lastJump = now;
    this.video.currentTime = to;
  }

  /** A quality that does not come in time is not chosen by itself for a while. */
  limit(hls: Hls, now: number) {
    const level = hls.loadLevel;
    if (!hls.autoLevelEnabled || level < 0) return;
    const top = hls.levels.length - 1;
    hls.autoLevelCapping = this.rungs.update({ now, lag: this.lag(hls), level, top });
  }

  /** How much the newest playlist offers that the buffer has not got. */
  private lag(hls: Hls): number {
    const edge = hls.latestLevelDetails?.edge;
    const end = bufferEnd(this.video);
    return edge === undefined || end === null ? 0 : edge - end;
  }
}
