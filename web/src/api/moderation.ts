/** REST around a chat: follows, emotes, moderation, reports, and what site moderators do. */
import type { ChatSettings, EmoteAt, Poll } from '../chat/protocol';
import { api } from './client';
import type { Page } from './types';

export interface Person {
  id: string;
  login: string;
  display_name: string;
}

export interface Emote {
  id: string;
  code: string;
  animated: boolean;
  url: string;
}

export interface Following {
  following: boolean;
  since: string | null;
  followers: number;
}

/** One level for all, or one for each category; 0 is off, 4 most. */
export interface AutoMod {
  overall?: number | null;
  categories?: Record<string, number> | null;
}

/** Who may send links; `links_action` is what happens to others' links. */
export interface ModerationSettings extends ChatSettings {
  links_from: 'everyone' | 'followers' | 'vips' | 'moderators';
  links_action: 'hold' | 'refuse';
  automod: AutoMod;
  shield_settings: {
    slow_s?: number | null;
    followers_min?: number | null;
    emote_only?: boolean | null;
    unique_chat?: boolean | null;
    automod?: number | null;
  };
  raid_guard: {
    joins?: number | null;
    follows?: number | null;
    window_s?: number | null;
    shield?: boolean | null;
  };
  accept_raids: 'all' | 'followed' | 'none';
}

export interface Ban {
  user: Person;
  moderator: Person | null;
  reason: string;
  created_at: string;
  expires_at: string | null;
}

export interface Term {
  id: string;
  text: string;
  kind: 'blocked' | 'permitted';
  public: boolean;
  created_at: string;
  expires_at: string | null;
}

export interface RoleHolder {
  user: Person;
  granted_by: Person | null;
  created_at: string;
}

export interface HeldMessage {
  id: string;
  user: Person;
  text: string;
  reason: string;
  categories: string[];
  created_at: string;
  expires_at: string;
  decision: string;
}

export interface LogItem {
  id: string;
  at: string;
  moderator: Person | null;
  action: string;
  target: Person | null;
  reason: string;
  data: Record<string, unknown>;
}

export interface Chatter extends Person {
  role: 'broadcaster' | 'moderator' | 'vip' | 'viewer';
}

/** Who is in a chat; `count` counts those without a login too. */
export interface Chatters {
  count: number;
  items: Chatter[];
}

export interface UnbanRequest {
  id: string;
  user: Person;
  status: 'open' | 'approved' | 'denied' | 'cancelled';
  created_at: string;
  decided_by: Person | null;
  decided_at: string | null;
  messages: { id: string; author: Person | null; text: string; created_at: string }[];
}

export interface UserCard {
  user: Person;
  role: string | null;
  follows_since: string | null;
  account_created_at: string;
  banned: boolean;
  timed_out_until: string | null;
  ban: Ban | null;
  suspicious: string | { status: string } | null;
  message_count: number;
  messages: {
    id: string;
    text: string;
    emotes: EmoteAt[];
    at: string;
    deleted_at: string | null;
  }[];
  warnings: { id: string; reason: string; created_at: string; acknowledged_at: string | null }[];
  notes: { id: string; author: Person | null; text: string; created_at: string }[];
  timeouts: LogItem[];
}

export interface AppToken {
  id: string;
  name: string;
  scopes: string[];
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
}

export interface NewAppToken extends AppToken {
  token: string;
}

export type ReportReason =
  | 'spam'
  | 'harassment'
  | 'hate'
  | 'sexual'
  | 'violence'
  | 'self_harm'
  | 'impersonation'
  | 'copyright'
  | 'other';

export interface NewReport {
  kind: 'user' | 'message' | 'stream' | 'video' | 'clip';
  user?: string;
  channel?: string;
  message?: string;
  video?: string;
  clip?: string;
  reason: ReportReason;
  text?: string;
}

export type RoleName = 'moderators' | 'vips';

const all = (path: string) => `${path}${path.includes('?') ? '&' : '?'}limit=100`;

/** One page of a list that may be long. */
const page = <T>(path: string, cursor: string | null, signal?: AbortSignal) =>
  api<Page<T>>(
    'GET',
    cursor === null ? all(path) : `${all(path)}&cursor=${encodeURIComponent(cursor)}`,
    {
      signal,
    },
  );

/** Everything about the chat of one channel. Every promise is kept once the decision holds everywhere. */
export function moderationOf(channel: string) {
  const base = `/channels/${channel}/moderation`;
  return {
    settings: (signal?: AbortSignal) =>
      api<ModerationSettings>('GET', `${base}/settings`, { signal }),
    set: (changes: Partial<ModerationSettings>) =>
      api<ModerationSettings>('PATCH', `${base}/settings`, { body: changes }),
    setShield: (active: boolean) => api('PUT', `${base}/shield`, { body: { active } }),
    bans: (cursor: string | null, signal?: AbortSignal) =>
      page<Ban>(`${base}/bans`, cursor, signal),
    ban: (user: string, reason?: string) => api('POST', `${base}/bans`, { body: { user, reason } }),
    timeout: (user: string, duration_s: number, reason?: string) =>
      api('POST', `${base}/bans`, { body: { user, duration_s, reason } }),
    unban: (user: string) => api('DELETE', `${base}/bans/${user}`),
    deleteMessage: (id: string) => api('DELETE', `${base}/messages/${id}`),
    clear: () => api('DELETE', `${base}/messages`),
    holders: (role: RoleName, cursor: string | null, signal?: AbortSignal) =>
      page<RoleHolder>(`${base}/${role}`, cursor, signal),
    grant: (role: RoleName, user: string) => api('PUT', `${base}/${role}/${user}`),
    revoke: (role: RoleName, user: string) => api('DELETE', `${base}/${role}/${user}`),
    terms: (kind: Term['kind'], cursor: string | null, signal?: AbortSignal) =>
      page<Term>(`${base}/blocked-terms?kind=${kind}`, cursor, signal),
    addTerm: (term: { text: string; kind: Term['kind']; public: boolean }) =>
      api<Term>('POST', `${base}/blocked-terms`, { body: term }),
    removeTerm: (id: string) => api('DELETE', `${base}/blocked-terms/${id}`),
    held: (signal?: AbortSignal) =>
      api<Page<HeldMessage>>('GET', all(`${base}/automod`), { signal }),
    decideHeld: (id: string, decision: 'allow' | 'deny') =>
      api('POST', `${base}/automod/${id}`, { body: { decision } }),
    warn: (user: string, reason: string) =>
      api('POST', `${base}/warnings`, { body: { user, reason } }),
    unbanRequests: (cursor: string | null, signal?: AbortSignal) =>
      page<UnbanRequest>(`${base}/unban-requests`, cursor, signal),
    answerUnban: (id: string, answer: { decision?: 'approve' | 'deny'; text?: string }) =>
      api('POST', `${base}/unban-requests/${id}`, { body: answer }),
    log: (cursor: string | null, signal?: AbortSignal) =>
      page<LogItem>(`${base}/log`, cursor, signal),
    chatters: (limit: number, signal?: AbortSignal) =>
      api<Chatters>('GET', `/channels/${channel}/chatters?limit=${limit}`, { signal }),
    card: (user: string, signal?: AbortSignal) =>
      api<UserCard>('GET', `${base}/users/${user}`, { signal }),
    addNote: (user: string, text: string) =>
      api('POST', `${base}/users/${user}/notes`, { body: { text } }),
    suspect: (user: string, status: 'none' | 'monitored' | 'restricted') =>
      api('PUT', `${base}/users/${user}/suspicious`, { body: { status } }),
    startPoll: (poll: { question: string; choices: string[]; duration_s: number }) =>
      api<Poll>('POST', `/channels/${channel}/polls`, { body: poll }),
    endPoll: (id: string) =>
      api('PATCH', `/channels/${channel}/polls/${id}`, { body: { status: 'ended' } }),
    startRaid: (to: string) => api('POST', `/channels/${channel}/raids`, { body: { channel: to } }),
    cancelRaid: () => api('DELETE', `/channels/${channel}/raids`),
    pin: (message: string) => api('PUT', `/channels/${channel}/pins`, { body: { message } }),
    unpin: () => api('DELETE', `/channels/${channel}/pins`),
    announce: (text: string, color = 'primary') =>
      api('POST', `/channels/${channel}/announcements`, { body: { text, color } }),
  };
}

export type Moderation = ReturnType<typeof moderationOf>;

// What a banned person may do
export const myUnbanRequests = (channel: string, signal?: AbortSignal) =>
  api<Page<UnbanRequest>>('GET', `/channels/${channel}/unban-requests`, { signal });
export const askForUnban = (channel: string, text: string) =>
  api('POST', `/channels/${channel}/unban-requests`, { body: { text } });
export const answerMyUnban = (channel: string, id: string, text: string) =>
  api('POST', `/channels/${channel}/unban-requests/${id}`, { body: { text } });

// Follows
export const followingOf = (channel: string, signal?: AbortSignal) =>
  api<Following>('GET', `/channels/${channel}/follow`, { signal });
export const follow = (channel: string) => api<Following>('PUT', `/channels/${channel}/follow`);
export const unfollow = (channel: string) =>
  api<Following>('DELETE', `/channels/${channel}/follow`);

// Emotes
export const globalEmotes = (signal?: AbortSignal) =>
  api<Page<Emote>>('GET', '/emotes/global', { signal });
export const channelEmotes = (channel: string, signal?: AbortSignal) =>
  api<Page<Emote>>('GET', `/channels/${channel}/emotes`, { signal });
export const removeEmote = (channel: string, id: string) =>
  api('DELETE', `/channels/${channel}/emotes/${id}`);
export function addEmote(channel: string, code: string, file: File) {
  const form = new FormData();
  form.set('code', code);
  form.set('file', file);
  return api<Emote>('POST', `/channels/${channel}/emotes`, { form });
}

/** An emote's picture; sizes are what the server keeps. */
export const emoteUrl = (id: string, size: 28 | 56 | 112) => `/emotes/${id}/${size}`;

export const report = (about: NewReport) =>
  api<{ id: string }>('POST', '/reports', { body: about });
