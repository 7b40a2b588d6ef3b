/** What the player tells the page, and what the page tells the player. */
import type { LiveState } from '../api/types';
import type { Timeline } from './scale';

/** The viewer is "behind" when further from the edge than this beyond the target, s. */
const BEHIND_S = 4;

export interface Quality {
  /** Index among hls.js's levels. */
  index: number;
  name: string;
  detail: string;
}

export type PlayerFault =
  /** The browser decodes none of the renditions. */
  | 'unplayable'
  /** Requests fail; it keeps trying. */
  | 'network';

export interface PlayerSnapshot {
  /** A first frame has been shown since the stream was opened. */
  started: boolean;
  /** Wants to play but has no data. */
  waiting: boolean;
  paused: boolean;
  fault: PlayerFault | null;
  /** Autoplay was only allowed without sound. */
  mutedByBrowser: boolean;
  /** Autoplay was refused altogether: a press on play is needed. */
  blocked: boolean;
  /** The viewer is behind the live edge by their own choice. */
  behind: boolean;
  /** Seconds from the server's receipt of a picture to its display; null when unknown. */
  latency: number | null;
  qualities: readonly Quality[];
  /** The quality being shown, index into `qualities` by `Quality.index`; -1 unknown. */
  current: number;
  /** What the viewer asked for. */
  choice: QualityChoice;
  audioOnly: boolean;
  hasAudioOnly: boolean;
  /** What the line under the picture shows; null while there is none. */
  timeline: Timeline | null;
  /** Of a channel: plays from the record of the running broadcast instead of its live edge. */
  rewound: boolean;
  /** Of a recording: how fast the viewer wants it. */
  rate: number;
  /** A recording has been played to its end. */
  ended: boolean;
  /** Captions that the recording has; index into `video.textTracks`. */
  captions: readonly Caption[];
  /** Which of them is shown; -1: none. */
  caption: number;
}

export interface Caption {
  index: number;
  name: string;
}

export type QualityChoice = 'auto' | 'audio' | number;

export interface StreamPosition {
  /** Path of the multivariant playlist. */
  url: string;
  /** Changes with every broadcast; the same across a reconnect. */
  session: string;
  state: 'live' | 'reconnecting';
}

export const EMPTY: PlayerSnapshot = {
  started: false,
  waiting: false,
  paused: true,
  fault: null,
  mutedByBrowser: false,
  blocked: false,
  behind: false,
  latency: null,
  qualities: [],
  current: -1,
  choice: 'auto',
  audioOnly: false,
  hasAudioOnly: false,
  timeline: null,
  rewound: false,
  rate: 1,
  ended: false,
  captions: [],
  caption: -1,
};

/** What to play, from the live state of a channel; null while it is off. */
export function streamOf(live: LiveState): StreamPosition | null {
  if (live.state === 'offline' || live.session === null) return null;
  return { url: `/live/${live.login}/index.m3u8`, session: live.session, state: live.state };
}

/** True when the stream is further behind than live viewing: used by the Go-live button. */
export function isBehind(snapshot: PlayerSnapshot): boolean {
  return snapshot.behind || snapshot.paused || (snapshot.latency ?? 0) > BEHIND_S;
}
