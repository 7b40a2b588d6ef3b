/** REST of the site's moderators and admins. */
import { api } from './client';
import type { Person, ReportReason } from './moderation';
import type { Page, User } from './types';

export type Scope = 'account' | 'channel';

export interface Report {
  id: string;
  kind: 'user' | 'message' | 'stream';
  reporter: Person;
  user: Person;
  channel: Person | null;
  message_id: string | null;
  stream_id: string | null;
  reason: ReportReason;
  text: string;
  /** What was reported, as it was then. */
  snapshot: Record<string, unknown>;
  status: 'open' | 'claimed' | 'decided';
  claimed_by: Person | null;
  claimed_at: string | null;
  decision: Decision | null;
  decision_reason: string;
  decided_by: Person | null;
  decided_at: string | null;
  created_at: string;
}

export type Decision = 'none' | 'warned' | 'suspended' | 'removed';

export interface ReportDecision {
  decision: Decision;
  reason: string;
  suspension?: { scope: Scope; duration_s?: number };
}

export interface Account extends Person {
  email: string | null;
  role: User['role'];
  bio: string;
  created_at: string;
  deleted_at: string | null;
  followers: number;
  suspended: Scope[];
}

export interface Suspension {
  id: string;
  user: Person;
  scope: Scope;
  reason: string;
  created_at: string;
  until: string | null;
  by: Person | null;
  standing: boolean;
  lifted_at: string | null;
}

export interface Appeal {
  id: string;
  text: string;
  created_at: string;
  decision: 'upheld' | 'shortened' | 'lifted' | null;
  answer: string;
  decided_by: Person | null;
  suspension: Suspension;
}

export interface AuditLine {
  id: string;
  at: string;
  actor: Person | null;
  action: string;
  target: string;
  target_user: Person | null;
  address: string;
  data: Record<string, unknown>;
}

export interface RunningStream {
  id: string;
  channel: Person;
  title: string;
  status: string;
  started_at: string;
  viewers: number;
  peak_viewers: number;
  node: string;
}

function query(values: Record<string, string | boolean | undefined>): string {
  const given = Object.entries(values).filter(
    (pair): pair is [string, string | boolean] => pair[1] !== undefined && pair[1] !== '',
  );
  return new URLSearchParams([
    ...given.map(([key, value]): [string, string] => [key, String(value)]),
    ['limit', '50'],
  ]).toString();
}

export type SettingValue = string | number | boolean | null;
export type SettingValues = Record<string, SettingValue>;

/** The instance's settings: what holds, and why. */
export interface Settings {
  version: string;
  changed_at: string | null;
  changed_by: Person | null;
  values: SettingValues;
  defaults: SettingValues;
  chosen: string[];
  /** Settings that the server's environment fixes, with the variable that does. */
  fixed: Record<string, string>;
}

export interface SettingsVersion {
  id: string;
  at: string;
  by: Person | null;
  changes: { name: string; before: SettingValue; after: SettingValue }[];
  undoes: string | null;
}

interface Waiting {
  waiting: number;
  oldest_s: number;
}

/** How the instance is at a moment. */
export interface Overview {
  at: string;
  live: { streams: number; waiting: number; viewers: number };
  services: { name: string; ready: boolean }[];
  machine: {
    node: string;
    cores: number;
    load: number;
    memory_total_bytes: number | null;
    memory_free_bytes: number | null;
    disks: { name: string; total_bytes: number; free_bytes: number }[];
  };
  outbox: Waiting;
  jobs: Waiting & { running: number };
  spool: { bytes: number; limit_bytes: number; oldest_s: number } | null;
  backup: { at: string; ok: boolean; size_bytes: number | null } | null;
  alerts: { code: string; severity: 'warning' | 'critical'; message: string }[];
  versions: Record<string, string>;
}

interface Usage {
  count: number;
  bytes: number;
  duration_s: number;
}

export interface SiteStorage {
  videos: Usage;
  trash: Usage;
  clips: Usage;
  channels: { channel: Person; videos: number; bytes: number }[];
}

const list =
  <T>(path: string) =>
  (of: Record<string, string | boolean | undefined>, cursor: string | null, signal?: AbortSignal) =>
    api<Page<T>>('GET', `/admin/${path}?${query({ ...of, cursor: cursor ?? undefined })}`, {
      signal,
    });

export const admin = {
  reports: list<Report>('reports'),
  users: list<Account>('users'),
  suspensions: list<Suspension>('suspensions'),
  appeals: list<Appeal>('appeals'),
  audit: list<AuditLine>('audit'),
  streams: list<RunningStream>('streams'),
  settingsHistory: list<SettingsVersion>('settings/history'),
  claim: (id: string) => api('POST', `/admin/reports/${id}/claim`),
  release: (id: string) => api('DELETE', `/admin/reports/${id}/claim`),
  decide: (id: string, decision: ReportDecision) =>
    api('POST', `/admin/reports/${id}/decision`, { body: decision }),
  setRole: (id: string, role: User['role']) =>
    api('PUT', `/admin/users/${id}/role`, { body: { role } }),
  suspend: (body: { user: string; scope: Scope; reason: string; duration_s?: number }) =>
    api('POST', '/admin/suspensions', { body }),
  lift: (id: string) => api('DELETE', `/admin/suspensions/${id}`),
  decideAppeal: (
    id: string,
    body: { decision: 'upheld' | 'shortened' | 'lifted'; answer: string; duration_s?: number },
  ) => api('POST', `/admin/appeals/${id}`, { body }),
  settings: (signal?: AbortSignal) => api<Settings>('GET', '/admin/settings', { signal }),
  setSettings: (changes: SettingValues, version: string) =>
    api<Settings>('PATCH', '/admin/settings', { body: { ...changes, version } }),
  undoSettings: (version: string) =>
    api<Settings>('POST', `/admin/settings/history/${version}/undo`),
  overview: (signal?: AbortSignal) => api<Overview>('GET', '/admin/overview', { signal }),
  storage: (signal?: AbortSignal) => api<SiteStorage>('GET', '/admin/storage', { signal }),
  stopStream: (id: string) => api('POST', `/admin/streams/${id}/stop`),
};
