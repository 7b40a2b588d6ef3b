/** Videos and clips: what the REST API says of them, and what it can be asked to do. */
import type { ChatUser, EmoteAt } from '../chat/protocol';
import type { Chapter } from '../player/scale';
import { api } from './client';
import type { Page } from './types';

export interface Person {
  id: string;
  login: string;
  display_name: string;
}

export type VideoKind = 'broadcast' | 'upload' | 'highlight';
export type VideoStatus = 'live' | 'processing' | 'ready' | 'failed';
export type Visibility = 'public' | 'unlisted' | 'private';

export interface Video {
  id: string;
  channel: Person;
  kind: VideoKind;
  status: VideoStatus;
  title: string;
  category: string | null;
  tags: string[];
  language: string | null;
  mature: boolean;
  visibility: Visibility;
  created_at: string;
  started_at: string | null;
  published_at: string | null;
  duration_s: number;
  width: number;
  height: number;
  has_audio: boolean;
  views: number;
  playback_url: string | null;
  thumbnail_url: string | null;
  storyboard_url: string | null;
  urls_expire_at: string | null;
}

export interface OwnPart {
  size_bytes: number;
  ready_at: string | null;
  error: { code: string; message: string; retry: boolean } | null;
  trashed_at: string | null;
  purge_at: string | null;
}

export interface MyVideo extends Video {
  own: OwnPart;
}

export interface VideoDetail extends Video {
  description: string;
  chapters: Chapter[];
  source_video_id: string | null;
  position_s: number | null;
  may_edit: boolean;
  may_moderate: boolean;
  own: OwnPart | null;
}

export interface VideoChanges {
  title?: string;
  description?: string;
  category?: string | null;
  tags?: string[];
  language?: string | null;
  visibility?: Visibility;
  published_at?: string | null;
}

export interface Clip {
  id: string;
  channel: Person;
  creator: Person | null;
  video: { id: string; title: string; category: string | null } | null;
  title: string;
  status: 'processing' | 'ready' | 'failed';
  error: { code: string; message: string } | null;
  start_s: number;
  duration_s: number;
  started_at: string | null;
  created_at: string;
  views: number;
  width: number;
  height: number;
  playback_url: string | null;
  thumbnail_url: string | null;
  download_url: string | null;
}

export interface ClipDetail extends Clip {
  may_edit: boolean;
  may_delete: boolean;
}

export interface ReplayMessage {
  at_s: number;
  id: string;
  ts: string;
  user: ChatUser;
  text: string;
  emotes?: EmoteAt[];
  kind?: 'chat' | 'action' | 'announcement' | 'raid' | 'system';
}

export interface Export {
  id: string;
  video_id: string;
  format: 'mp4' | 'mp3';
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  progress: number;
  size: number | null;
  download_url: string | null;
  error: { code: string; message: string } | null;
  created_at: string;
  ended_at: string | null;
  expires_at: string | null;
}

export interface Usage {
  count: number;
  bytes: number;
  duration_s: number;
}

export interface StorageUse {
  videos: Usage;
  trash: Usage;
  clips: Usage;
  quota_bytes: number | null;
  retention_days: number | null;
  trash_days: number;
}

export interface VideoSettings {
  visibility: Visibility;
  retention_days: number | null;
  site_retention_days: number | null;
  trash_days: number;
}

type Asked = Record<string, string | number | boolean | null | undefined>;

/** A path with what is asked for; what is empty is left out. */
export function withQuery(path: string, asked: Asked): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

export type VideoSort = 'newest' | 'oldest' | 'views' | 'longest' | 'shortest';

export interface VideoFilter {
  channel?: string;
  category?: string | null;
  tag?: string | null;
  language?: string | null;
  kind?: VideoKind | null;
  q?: string | null;
  sort?: VideoSort;
}

const PAGE = 24;

export const videos = {
  list: (filter: VideoFilter, cursor: string | null, signal?: AbortSignal) =>
    api<Page<Video>>('GET', withQuery('/videos', { ...filter, cursor, limit: PAGE }), { signal }),
  mine: (
    filter: { trashed?: boolean; q?: string; sort?: string; visibility?: string },
    cursor: string | null,
    signal?: AbortSignal,
  ) =>
    api<Page<MyVideo>>('GET', withQuery('/me/videos', { ...filter, cursor, limit: PAGE }), {
      signal,
    }),
  get: (id: string, signal?: AbortSignal) => api<VideoDetail>('GET', `/videos/${id}`, { signal }),
  change: (id: string, body: VideoChanges) => api<VideoDetail>('PATCH', `/videos/${id}`, { body }),
  trash: (id: string) => api('DELETE', `/videos/${id}`),
  remove: (id: string) => api('DELETE', `/videos/${id}?forever=true`),
  restore: (id: string) => api<VideoDetail>('POST', `/videos/${id}/restore`),
  /** Make it once more of the file that was uploaded. */
  retry: (id: string) => api<VideoDetail>('POST', `/videos/${id}/retry`),
  view: (id: string) => api('POST', `/videos/${id}/views`),
  watchedTo: (id: string, at_s: number) =>
    api('PUT', `/videos/${id}/position`, { body: { at_s: Math.round(at_s * 10) / 10 } }),
  posterAt: (id: string, at_s: number) =>
    api<{ thumbnail_url: string | null }>('POST', `/videos/${id}/poster`, { body: { at_s } }),
  poster: (id: string, file: File) => {
    const form = new FormData();
    form.set('file', file);
    return api<{ thumbnail_url: string | null }>('PUT', `/videos/${id}/poster`, { form });
  },
  highlight: (id: string, body: { start_s: number; duration_s: number; title: string }) =>
    api<VideoDetail>('POST', `/videos/${id}/highlights`, { body }),
  exports: (id: string, signal?: AbortSignal) =>
    api<Page<Export>>('GET', `/videos/${id}/exports`, { signal }),
  export_: (id: string, format: Export['format']) =>
    api<Export>('POST', `/videos/${id}/exports`, { body: { format } }),
  cancelExport: (id: string) => api('DELETE', `/exports/${id}`),
  storage: (signal?: AbortSignal) => api<StorageUse>('GET', '/me/storage', { signal }),
  settings: (login: string, signal?: AbortSignal) =>
    api<VideoSettings>('GET', `/channels/${login}/video-settings`, { signal }),
  set: (login: string, body: Partial<Pick<VideoSettings, 'visibility' | 'retention_days'>>) =>
    api<VideoSettings>('PATCH', `/channels/${login}/video-settings`, { body }),
};

export interface ClipFilter {
  channel?: string;
  video?: string;
  sort?: 'newest' | 'views';
  days?: number;
}

export const clips = {
  list: (filter: ClipFilter, cursor: string | null, signal?: AbortSignal) =>
    api<Page<Clip>>('GET', withQuery('/clips', { ...filter, cursor, limit: PAGE }), { signal }),
  get: (id: string, signal?: AbortSignal) => api<ClipDetail>('GET', `/clips/${id}`, { signal }),
  make: (body: {
    video: string;
    start_s: number;
    duration_s: number;
    title: string;
    request_id: string;
  }) => api<ClipDetail>('POST', '/clips', { body }),
  rename: (id: string, title: string) =>
    api<ClipDetail>('PATCH', `/clips/${id}`, { body: { title } }),
  remove: (id: string) => api('DELETE', `/clips/${id}`),
  view: (id: string) => api('POST', `/clips/${id}/views`),
};

/** A part of a chat beside a video or a clip; `of` is "videos/7" or "clips/abc". */
export function replayOf(
  of: string,
  part: { from: number; to: number; cursor?: string | null },
  signal?: AbortSignal,
): Promise<Page<ReplayMessage>> {
  return api('GET', withQuery(`/${of}/chat`, { ...part, limit: 500 }), { signal });
}
