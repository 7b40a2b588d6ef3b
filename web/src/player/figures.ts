import { bufferEnd } from './buffered';

/** For tests and benchmarks: `window.footlight.player`. Seconds, counts. */
export interface PlayerFigures {
  latency: number | null;
  edgeLatency: number | null;
  target: number;
  rate: number;
  stalls: number;
  droppedFrames: number;
  totalFrames: number;
  buffer: number;
}

declare global {
  interface Window {
    footlight?: { player?: PlayerFigures };
  }
}

/** What of the figures can be read off the element itself. */
export function publishFigures(
  video: HTMLVideoElement,
  known: Pick<PlayerFigures, 'latency' | 'edgeLatency' | 'target' | 'stalls'>,
) {
  const frames = video.getVideoPlaybackQuality();
  const end = bufferEnd(video);
  const player: PlayerFigures = {
    ...known,
    rate: video.playbackRate,
    droppedFrames: frames.droppedVideoFrames,
    totalFrames: frames.totalVideoFrames,
    buffer: end === null ? 0 : end - video.currentTime,
  };
  window.footlight = { ...window.footlight, player };
}

export function unpublishFigures() {
  if (window.footlight) delete window.footlight.player;
}
