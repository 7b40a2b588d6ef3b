/** Completion in the composer: `@na` → people, `:em` → emotes, `/ti` → commands. Pure. */
import { COMMANDS, type Command } from './commands';
import type { Role } from './protocol';

export interface Emote {
  id: string;
  code: string;
  animated?: boolean;
}

export type Suggestion =
  | { type: 'user'; key: string; insert: string; login: string; name: string }
  | { type: 'emote'; key: string; insert: string; emote: Emote }
  | { type: 'command'; key: string; insert: string; command: Command };

export interface Completion {
  /** What is replaced, UTF-16 units. */
  from: number;
  to: number;
  items: Suggestion[];
}

export interface Known {
  /** login → display name, newest talker last. */
  talkers: ReadonlyMap<string, string>;
  emotes: readonly Emote[];
  role: Role | null;
}

const MOST = 8;

/** Those that start with the word first, then those that hold it. */
function ranked<T>(items: readonly T[], word: string, textOf: (item: T) => string): T[] {
  const wanted = word.toLowerCase();
  const starts: T[] = [];
  const holds: T[] = [];
  for (const item of items) {
    const at = textOf(item).toLowerCase().indexOf(wanted);
    if (at === 0) starts.push(item);
    else if (at > 0) holds.push(item);
  }
  return [...starts, ...holds].slice(0, MOST);
}

function people(word: string, { talkers }: Known): Suggestion[] {
  const newest = [...talkers].reverse();
  const byLogin = ranked(newest, word, ([login]) => login);
  const byName = ranked(newest, word, ([, name]) => name);
  const found = new Map([...byLogin, ...byName]);
  return [...found].slice(0, MOST).map(([login, name]) => ({
    type: 'user',
    key: `@${login}`,
    insert: `@${login} `,
    login,
    name,
  }));
}

function emotes(word: string, known: Known): Suggestion[] {
  return ranked(known.emotes, word, (emote) => emote.code).map((emote) => ({
    type: 'emote',
    key: `:${emote.id}`,
    insert: `${emote.code} `,
    emote,
  }));
}

/** What somebody of this role may type. */
export function commandsFor(role: Role | null): readonly Command[] {
  const rank = { viewer: 0, vip: 0, moderator: 1, broadcaster: 2 }[role ?? 'viewer'];
  return COMMANDS.filter((command) => command.rank <= rank);
}

function commands(word: string, { role }: Known): Suggestion[] {
  const wanted = word.toLowerCase();
  return commandsFor(role)
    .filter((command) => command.name.startsWith(wanted))
    .slice(0, MOST)
    .map((command) => ({
      type: 'command',
      key: `/${command.name}`,
      insert: command.usage ? `/${command.name} ` : `/${command.name}`,
      command,
    }));
}

/** What the word before the caret may become; null where there is nothing to offer. */
export function complete(text: string, caret: number, known: Known): Completion | null {
  const before = text.slice(0, caret);
  const from = Math.max(before.lastIndexOf(' '), before.lastIndexOf('\n')) + 1;
  const word = before.slice(from);
  const [sign, rest] = [word[0], word.slice(1)];
  let items: Suggestion[] = [];
  if (sign === '/' && from === 0) items = commands(rest, known);
  else if (sign === '@') items = people(rest, known);
  else if (sign === ':' && rest.length > 0) items = emotes(rest, known);
  if (items.length === 0) return null;
  // A command that is already whole needs no list in the way of Enter.
  if (items.length === 1 && items[0]?.insert.trim() === word && sign === '/') return null;
  return { from, to: caret, items };
}

/** Whether the suggestion is what stands there already. */
export function isWhole(
  text: string,
  { from, to }: { from: number; to: number },
  { insert }: Suggestion,
): boolean {
  return text.slice(from, to).toLowerCase() === insert.trim().toLowerCase();
}

/** The text with a suggestion in place, and where the caret stands then. */
export function apply(
  text: string,
  { from, to }: { from: number; to: number },
  insert: string,
): { text: string; caret: number } {
  const rest = text.slice(to);
  const tail = insert.endsWith(' ') && rest.startsWith(' ') ? rest.slice(1) : rest;
  return { text: text.slice(0, from) + insert + tail, caret: from + insert.length };
}
