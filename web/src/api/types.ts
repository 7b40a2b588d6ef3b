/** The JSON of the REST API (`/api/openapi.json`) and of the edge, as far as the pages use it. */

export interface User {
  id: string;
  login: string;
  display_name: string;
  email: string;
  role: 'viewer' | 'creator' | 'moderator' | 'admin';
  bio: string;
  may_stream: boolean;
  created_at: string;
}

export interface Banner {
  text: string;
  level: 'info' | 'warning' | 'danger';
  until: string | null;
}

export interface Instance {
  name: string;
  tagline: string;
  version: string;
  registration_open: boolean;
  who_may_stream: 'everybody' | 'approved' | 'nobody';
  banner: Banner | null;
  has_about: boolean;
  has_rules: boolean;
  mail_enabled: boolean;
  rtmp_url: string;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface Broadcast {
  id: string;
  started_at: string;
  viewers: number;
  status: 'live' | 'reconnecting';
  playback_url: string;
  thumbnail_url: string | null;
}

export interface Channel {
  id: string;
  login: string;
  display_name: string;
  title: string;
  category: string | null;
  tags: string[];
  language: string | null;
  mature: boolean;
  bio: string;
  live: boolean;
  /** With its video so far, where everybody may watch that. */
  stream: (Broadcast & { video_id: string | null }) | null;
  last_stream_at: string | null;
  followers: number;
}

export interface DirectoryItem extends Broadcast {
  channel: { login: string; display_name: string };
  title: string;
  category: string | null;
  tags: string[];
  language: string | null;
}

export interface StreamKey {
  id: string;
  name: string;
  hint: string;
  created_at: string;
  last_used_at: string | null;
}

export interface NewStreamKey {
  id: string;
  name: string;
  key: string;
  server: string;
}

export interface LoginSession {
  id: string;
  current: boolean;
  created_at: string;
  last_used_at: string;
  user_agent: string;
  ip: string;
}

export interface Warning {
  code: string;
  message: string;
}

export interface PublishAttempt {
  at: string;
  accepted: boolean;
  code: string;
  message: string;
}

/** What the encoder sent in the last seconds; rates in bits/s, levels in dBFS, null when unknown. */
export interface HealthSample {
  at: string;
  video: string;
  audio: string;
  width: number;
  height: number;
  frame_rate: number;
  bitrate: number;
  video_bitrate: number;
  audio_bitrate: number;
  keyframe_interval_s: number | null;
  gaps: number;
  longest_gap_ms: number;
  arrival_share: number | null;
  audio_mean_db: number | null;
  audio_peak_db: number | null;
  encoder: string;
}

export interface MyStream {
  state: 'offline' | 'connecting' | 'live' | 'reconnecting';
  stream: (Broadcast & { session?: string }) | null;
  health: HealthSample | null;
  warnings: Warning[];
  attempts: PublishAttempt[];
}

/** `/live/<login>/state`: what an open page long-polls. */
export interface LiveState {
  login: string;
  state: 'live' | 'reconnecting' | 'offline';
  version: number | string;
  session: string | null;
  stream_id: string | null;
  started_at: string | null;
  viewers: number;
  warnings: Warning[];
  server_time: string;
}
