/** How hls.js is set up for a stream that is seconds old, and what its playlists say. */
import type Hls from 'hls.js/light';
import type { HlsConfig, Level, LevelDetails, LevelParsed } from 'hls.js/light';
import { readPrefs, writePrefs } from './prefs';
import type { PlayerSnapshot, Quality, QualityChoice } from './snapshot';

/** Distance from the edge that the first request aims at where no keyframe says better, s. */
const START_BEHIND_S = 0.4;
/** Playback begins at the newest keyframe up to this far from the edge: longer GOPs are for nobody, s. */
const START_KEYFRAME_S = 12;
/** A seek to a keyframe aims just behind its start, so that rounding never lands in the GOP before, s. */
export const INTO_KEYFRAME_S = 0.02;
/** A paused stream is kept buffered for about this long; after it, play means the live edge, s. */
export const PAUSE_KEPT_S = 30;

export function liveConfig(): Partial<HlsConfig> {
  return {
    lowLatencyMode: true,
    // Parts are fragmented MP4 and only pass through: a worker would cost its start and a hop for every
    // part, and saves nothing.
    enableWorker: false,
    // The control is ours: hls.js neither chases nor backs off by itself.
    maxLiveSyncPlaybackRate: 1,
    liveSyncOnStallIncrease: 0,
    // Where playback begins, until `aimAtKeyframe` knows better.
    liveSyncDuration: START_BEHIND_S,
    liveDurationInfinity: true,
    backBufferLength: 30,
    maxBufferLength: PAUSE_KEPT_S,
    maxMaxBufferLength: PAUSE_KEPT_S,
    // A bitrate test would put a whole segment of the worst rendition before the first frame.
    testBandwidth: false,
    startFragPrefetch: true,
    abrEwmaDefaultEstimate: readPrefs().bandwidth,
    abrEwmaDefaultEstimateMax: 50_000_000,
    // Blocking reloads are held for up to 3 target durations when the streamer stalls.
    playlistLoadPolicy: loadPolicy(40_000),
    manifestLoadPolicy: loadPolicy(8_000),
    fragLoadPolicy: loadPolicy(8_000),
  };
}

export function loadPolicy(firstByteMs: number) {
  const retry = { maxNumRetry: 8, retryDelayMs: 150, maxRetryDelayMs: 1500 };
  return {
    default: {
      maxTimeToFirstByteMs: firstByteMs,
      maxLoadTimeMs: firstByteMs + 20_000,
      timeoutRetry: { ...retry, maxNumRetry: 3 },
      errorRetry: retry,
    },
  };
}

export function qualityOf(level: Level, index: number): Quality {
  const source = /\/source[./]/.test(level.uri);
  const fps = level.frameRate > 32 ? String(Math.round(level.frameRate)) : '';
  const size = level.height ? `${level.height}p${fps}` : 'Video';
  const rate = level.bitrate ? `${(level.bitrate / 1_000_000).toFixed(1)} Mb/s` : '';
  return { index, name: size, detail: [source ? 'source' : '', rate].filter(Boolean).join(', ') };
}

/** The same quality among other levels, by its name: what was chosen holds when another playlist is opened. */
export function sameChoice(
  { choice, qualities }: Pick<PlayerSnapshot, 'choice' | 'qualities'>,
  now: readonly Quality[],
): QualityChoice {
  if (typeof choice !== 'number') return choice;
  const { name } = qualities.find(({ index }) => index === choice) ?? now[choice] ?? {};
  return now.find((quality) => quality.name === name)?.index ?? 'auto';
}

/** Where the newest part starts that a decoder can begin with, on the media timeline, s. */
export function newestKeyframe(details: LevelDetails): number | null {
  return details.partList?.findLast((part) => part.independent)?.start ?? null;
}

/**
 * Begin at the newest keyframe instead of at the edge: its picture shows as soon as its first part is
 * there. From anywhere else the decoder would have to run through the GOP first, unseen. The latency
 * control then brings the playhead to the edge.
 */
export function aimAtKeyframe(hls: Hls, edge: number, keyframe: number | null) {
  const behind = keyframe === null ? 0 : edge - keyframe;
  const near = behind > 0 && behind < START_KEYFRAME_S;
  hls.targetLatency = near ? behind - INTO_KEYFRAME_S : START_BEHIND_S;
}

/** hls.js leaves sound without a picture out of its levels: its address, for our own menu. */
export function soundOf(levels: readonly LevelParsed[]): string | null {
  const sound = levels.find((level) => !level.videoCodec && !level.height && level.audioCodec);
  return sound?.url ?? null;
}

/** What was measured is the first quality choice of the next thing that is played. */
export function rememberBandwidth(hls: Hls | null) {
  const measured = hls?.bandwidthEstimate;
  if (measured && Number.isFinite(measured)) writePrefs({ bandwidth: Math.round(measured) });
}
