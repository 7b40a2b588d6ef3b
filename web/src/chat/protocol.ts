/** The JSON frames of `/chat` (docs/protocols/chat.md), as far as the pages use them. */

export type Role = 'viewer' | 'vip' | 'moderator' | 'broadcaster';

export interface ChatUser {
  id: string;
  login: string;
  name: string;
  color?: string | null;
  badges?: string[];
}

export interface EmoteAt {
  id: string;
  code: string;
  /** Code points; `end` is the last one of the emote. */
  start: number;
  end: number;
}

export interface ChatMessage {
  channel: string;
  id: string;
  offset: number;
  kind: 'chat' | 'action' | 'announcement' | 'raid' | 'system';
  user: ChatUser;
  text: string;
  emotes: EmoteAt[];
  mentions?: string[];
  reply_to?: { id: string; user: { login: string; name: string }; text: string } | null;
  nonce?: string;
  ts: string;
  first?: boolean;
  color?: string;
  raid?: { from: { login: string; name: string }; viewers: number };
}

export interface ChatSettings {
  slow_s: number;
  followers_min: number | null;
  subscribers_only: boolean;
  emote_only: boolean;
  unique_chat: boolean;
  delay_s: number;
  shield: boolean;
}

export interface Me {
  role: Role | null;
  badges: string[];
  color?: string | null;
  follows_since?: string | null;
  banned: boolean;
  timed_out_until?: string | null;
  warning?: { reason: string } | null;
  can_moderate: boolean;
}

export interface Poll {
  id: string;
  question: string;
  choices: { text: string; votes: number }[];
  total: number;
  ends_at: string;
  status: string;
  voted?: number | null;
}

export interface Raid {
  state: 'pending' | 'cancelled' | 'go';
  to: { login: string; name: string };
  viewers: number;
  at?: string | null;
}

export interface Held {
  id: string;
  user: ChatUser;
  text: string;
  reason: string;
  categories: string[];
  expires_at: string;
}

export interface LogEntry {
  id: string;
  at: string;
  moderator: { login: string; name?: string; display_name?: string } | string | null;
  action: string;
  target?: { login: string; name?: string; display_name?: string } | string | null;
  reason?: string | null;
  data?: Record<string, unknown>;
}

export interface Joined {
  type: 'joined';
  channel: string;
  channel_id: string;
  settings: ChatSettings;
  me: Me;
  history: ChatMessage[];
  offset: number;
  epoch: string;
  recovered: boolean;
  pinned: ChatMessage | null;
  poll: Poll | null;
  raid: Raid | null;
  viewers: number;
}

export interface Welcome {
  type: 'welcome';
  user: { id: string; login: string; name: string; color?: string | null } | null;
  limits?: { message_length: number; rate: number; rate_window_s: number };
  server_time?: string;
}

export interface ErrorFrame {
  type: 'error';
  code: string;
  message: string;
  nonce?: string;
  retry_after?: number;
  channel?: string;
}

export type ServerFrame =
  | Welcome
  | Joined
  | ErrorFrame
  | ({ type: 'message' } & ChatMessage)
  | { type: 'deleted'; channel: string; id: string; by?: string | { login: string } | null }
  | {
      type: 'cleared';
      channel: string;
      user?: { id: string; login: string } | null;
      duration_s?: number | null;
      reason?: string | null;
    }
  | { type: 'settings'; channel: string; settings: Partial<ChatSettings> }
  | { type: 'notice'; channel?: string; code: string; message: string; nonce?: string }
  | { type: 'viewers'; channel: string; count: number }
  | ({ type: 'held'; channel: string } & Held)
  | { type: 'held_decided'; channel: string; id: string; decision: string; by?: unknown }
  | ({ type: 'me'; channel: string } & Partial<Me>)
  | { type: 'warned'; channel: string; reason: string }
  | { type: 'pinned'; channel: string; message: ChatMessage | null }
  | { type: 'poll'; channel: string; poll: Poll | null }
  | ({ type: 'raid'; channel: string } & Raid)
  | { type: 'mod_log'; channel: string; entry: LogEntry }
  | { type: 'shutdown'; retry_after?: number }
  | { type: 'pong'; t?: number };

export type ClientFrame =
  | { type: 'hello'; token?: string }
  | { type: 'join'; channel: string; since?: number; epoch?: string }
  | { type: 'part'; channel: string }
  | { type: 'say'; channel: string; text: string; nonce: string; reply_to?: string }
  | { type: 'ack_warning'; channel: string }
  | { type: 'vote'; channel: string; poll: string; choice: number }
  | { type: 'ping'; t?: number };

const KNOWN = new Set<string>([
  'welcome',
  'joined',
  'error',
  'message',
  'deleted',
  'cleared',
  'settings',
  'notice',
  'viewers',
  'held',
  'held_decided',
  'me',
  'warned',
  'pinned',
  'poll',
  'raid',
  'mod_log',
  'shutdown',
  'pong',
]);

/** The frame that a text holds; null for what a newer server may say and this page does not know. */
export function decode(text: string): ServerFrame | null {
  try {
    const frame = JSON.parse(text) as { type?: unknown } | null;
    if (typeof frame?.type !== 'string' || !KNOWN.has(frame.type)) return null;
    return frame as ServerFrame;
  } catch {
    return null;
  }
}
