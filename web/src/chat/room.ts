/**
 * What a room looks like from here: a pure function of the frames that came. The connection feeds it and
 * the panel draws it.
 */
import type {
  ChatMessage,
  ChatSettings,
  ErrorFrame,
  Held,
  Joined,
  LogEntry,
  Me,
  Poll,
  Raid,
  ServerFrame,
} from './protocol';

/** How many lines are kept; older ones leave at the top. */
export const KEEP = 400;
/** While somebody reads back, nothing leaves under their eyes before this many lines. */
export const KEEP_PAUSED = 1200;
const KEEP_LOG = 200;

export interface MessageLine {
  type: 'message';
  key: string;
  message: ChatMessage;
  /** Taken away: its text is shown to moderators only, and only when they ask. */
  gone?: 'deleted' | 'timeout' | 'ban';
}
/** A line of our own: an answer to a command, a mode that changed, a gap. Only this page shows it. */
export interface NoteLine {
  type: 'note';
  key: string;
  tone: 'info' | 'warn';
  text: string;
  at: number;
}
export type Line = MessageLine | NoteLine;

/** A message on its way, or one that was not taken. */
export interface Outgoing {
  nonce: string;
  text: string;
  replyTo?: ChatMessage;
  at: number;
}
export interface Refusal extends Outgoing {
  code: string;
  message: string;
}

export interface RoomState {
  joined: boolean;
  channelId: string | null;
  lines: readonly Line[];
  settings: ChatSettings;
  me: Me;
  offset: number | null;
  epoch: string | null;
  /** What the running attempt to come back has asked for: the messages after this offset. */
  since: number | null;
  pinned: ChatMessage | null;
  poll: Poll | null;
  raid: Raid | null;
  viewers: number;
  held: readonly Held[];
  /** Held messages that were decided lately, by whomever. */
  heldDecided: readonly string[];
  log: readonly LogEntry[];
  pending: readonly Outgoing[];
  refused: Refusal | null;
  /** One's next message may go at this moment (our clock, ms): slow mode, rate, timeout. */
  mayTalkAt: number;
  /** What makes one wait. */
  waitFor: 'slow' | 'rate' | 'timeout' | null;
  /** The key of the last line from before a gap, kept for a reader: whether such still stand cannot be known. */
  doubted: string | null;
  /** Counts messages that came by themselves, so that a reader who scrolled up knows how many. */
  arrived: number;
  /** People who talked here, newest last: for completion. */
  talkers: ReadonlyMap<string, string>;
}

export const NO_SETTINGS: ChatSettings = {
  slow_s: 0,
  followers_min: null,
  subscribers_only: false,
  emote_only: false,
  unique_chat: false,
  delay_s: 0,
  shield: false,
};

export const NOBODY: Me = { role: null, badges: [], banned: false, can_moderate: false };

export const EMPTY: RoomState = {
  joined: false,
  channelId: null,
  lines: [],
  settings: NO_SETTINGS,
  me: NOBODY,
  offset: null,
  epoch: null,
  since: null,
  doubted: null,
  pinned: null,
  poll: null,
  raid: null,
  viewers: 0,
  held: [],
  heldDecided: [],
  log: [],
  pending: [],
  refused: null,
  mayTalkAt: 0,
  waitFor: null,
  arrived: 0,
  talkers: new Map(),
};

export interface Context {
  now: number;
  /** Who we are to the server; null for a visitor. */
  selfId: string | null;
  /** A reader has scrolled up: keep what they read. */
  paused: boolean;
}

/** Codes after which the text was not lost but waits for a moderator. */
const AWAITS_REVIEW = 'msg_rejected';
const WAITS: Record<string, RoomState['waitFor']> = {
  msg_slowmode: 'slow',
  msg_ratelimit: 'rate',
  msg_timedout: 'timeout',
};

let notes = 0;
function note(text: string, now: number, tone: NoteLine['tone'] = 'info'): NoteLine {
  return { type: 'note', key: `note-${++notes}`, tone, text, at: now };
}

function lineOf(message: ChatMessage): MessageLine {
  return { type: 'message', key: message.id, message };
}

function trimmed(lines: readonly Line[], paused: boolean): readonly Line[] {
  const most = paused ? KEEP_PAUSED : KEEP;
  return lines.length > most ? lines.slice(lines.length - most) : lines;
}

const MOST_TALKERS = 300;

function withTalkers(
  talkers: ReadonlyMap<string, string>,
  messages: readonly ChatMessage[],
): ReadonlyMap<string, string> {
  if (messages.length === 0) return talkers;
  const next = new Map(talkers);
  for (const { user } of messages) {
    // Again at the end: the newest talkers are offered first.
    next.delete(user.login);
    next.set(user.login, user.name);
  }
  for (const login of next.keys()) {
    if (next.size <= MOST_TALKERS) break;
    next.delete(login);
  }
  return next;
}

/** Add messages that are not there yet, in the room's order. */
function withMessages(
  state: RoomState,
  messages: readonly ChatMessage[],
  { paused }: Context,
): RoomState {
  const known = new Set(state.lines.map((line) => line.key));
  const fresh = messages.filter((message) => !known.has(message.id));
  if (fresh.length === 0) return state;
  return {
    ...state,
    lines: trimmed([...state.lines, ...fresh.map(lineOf)], paused),
    offset: Math.max(state.offset ?? 0, ...fresh.map((message) => message.offset)),
    arrived: state.arrived + fresh.length,
    talkers: withTalkers(state.talkers, fresh),
  };
}

function onMessage(state: RoomState, message: ChatMessage, context: Context): RoomState {
  const next = withMessages(state, [message], context);
  if (message.user.id !== context.selfId) return next;
  const settled =
    message.nonce === undefined
      ? next
      : { ...next, pending: next.pending.filter((each) => each.nonce !== message.nonce) };
  return afterTalking(settled, context.now);
}

/** In slow mode the next message may go a while after this one. */
function afterTalking(state: RoomState, now: number): RoomState {
  const { slow_s } = state.settings;
  if (slow_s === 0 || isExempt(state.me)) return state;
  return { ...state, mayTalkAt: now + slow_s * 1000, waitFor: 'slow' };
}

/** VIPs, moderators and the broadcaster do not wait for slow mode. */
export function isExempt(me: Me): boolean {
  return me.role === 'vip' || me.role === 'moderator' || me.role === 'broadcaster';
}

function withStanding(state: RoomState, change: Partial<Me>, now: number): RoomState {
  const me = { ...state.me, ...change };
  const until = me.timed_out_until ? Date.parse(me.timed_out_until) : 0;
  if (until > now) return { ...state, me, mayTalkAt: until, waitFor: 'timeout' };
  // A timeout that was lifted does not hold anybody back any longer.
  const lifted = state.waitFor === 'timeout';
  return { ...state, me, ...(lifted && { mayTalkAt: 0, waitFor: null }) };
}

/** After a loss, this many of the lines that are shown are looked at again; more while somebody reads back. */
export const LOOK_AGAIN = 100;
const LOOK_AGAIN_PAUSED = 300;

/**
 * Before joining again: ask for the last lines that are shown too, not only for what was missed. Those that
 * are not in the answer were taken away meanwhile.
 */
export function comingBack(state: RoomState, paused: boolean): RoomState {
  const { offset, epoch } = state;
  if (offset === null || epoch === null) return { ...state, since: null };
  const most = paused ? LOOK_AGAIN_PAUSED : LOOK_AGAIN;
  const shown = state.lines.filter((line) => line.type === 'message').slice(-most);
  const first = shown[0]?.message.offset ?? offset + 1;
  // Not further than that, should the offsets leap between them.
  return { ...state, since: Math.max(0, first - 1, offset - 2 * most) };
}

/**
 * The lines that still stand, after the history that came with a rejoin. What it covers and does not name
 * was taken away; what lies before it cannot be known any more and is shown on only to who is reading it.
 */
function stillStanding(
  state: RoomState,
  frame: Joined,
  { paused }: Context,
): Pick<RoomState, 'lines' | 'doubted'> {
  const named = new Set(frame.history.map((message) => message.id));
  const start = frame.history[0]?.offset ?? frame.offset + 1;
  const after = frame.recovered && state.since !== null ? state.since : start - 1;
  const found = state.lines.findIndex(
    (line) => line.type === 'message' && line.message.offset > after,
  );
  const known = found < 0 ? state.lines.length : found;
  const before = state.lines.slice(0, known);
  const lines = state.lines.slice(known).map((line) =>
    // Another process of the server may be a moment behind: what it has not seen yet is not gone.
    line.type === 'message' && line.message.offset <= frame.offset && !named.has(line.message.id)
      ? { ...line, gone: line.gone ?? 'deleted' }
      : line,
  );
  if (paused) return { lines: [...before, ...lines], doubted: before.at(-1)?.key ?? null };
  // Where nothing is left, what was said by this page itself still is.
  const said = found < 0 ? before.filter((line) => line.type === 'note') : [];
  return { lines: [...said, ...lines], doubted: null };
}

/** Whether there is a hole between what is shown and what came: what overlaps shows that there is none. */
function misses({ lines }: RoomState, { history }: Joined): boolean {
  const seen = new Set(lines.map((line) => line.key));
  const wasShown = lines.some((line) => line.type === 'message');
  return wasShown && history.length > 0 && !history.some((message) => seen.has(message.id));
}

/**
 * The room as it is told on joining. After a reconnect the history is what was missed and the last of what
 * is shown; where it is not whole, a line says so. A message that was on its way when the connection broke is found in it or refused.
 */
function onJoined(state: RoomState, frame: Joined, context: Context): RoomState {
  const again = state.epoch !== null;
  const sameRoom = again && state.epoch === frame.epoch;
  const gap = again && !frame.recovered && state.lines.length > 0;
  let next: RoomState = {
    ...state,
    joined: true,
    since: null,
    ...(again && stillStanding(state, frame, context)),
    channelId: frame.channel_id,
    settings: { ...NO_SETTINGS, ...frame.settings },
    epoch: frame.epoch,
    pinned: frame.pinned,
    poll: mergedPoll(state.poll, frame.poll),
    raid: frame.raid,
    viewers: frame.viewers,
    // Decided while we were away, perhaps: the page that shows them asks anew.
    held: [],
  };
  if (gap && misses(state, frame)) {
    const line = note('Some messages from the interruption are missing.', context.now, 'warn');
    next = { ...next, lines: [...next.lines, line] };
  }
  next = withMessages(next, frame.history, { ...context });
  next = { ...next, offset: sameRoom ? Math.max(next.offset ?? 0, frame.offset) : frame.offset };
  if (!again) next = { ...next, arrived: 0 };
  next = withStanding({ ...next, me: NOBODY }, frame.me, context.now);
  return settlePending(next, context);
}

/** A message counts as sent if it stands in the room since it was tried. Clocks may differ by this, ms. */
const CLOCKS_MS = 60_000;

function settlePending(state: RoomState, { selfId }: Context): RoomState {
  if (state.pending.length === 0) return state;
  const own = state.lines.filter(
    (line): line is MessageLine => line.type === 'message' && line.message.user.id === selfId,
  );
  const lost = state.pending.filter(
    (sent) =>
      !own.some(
        ({ message }) => message.text === sent.text && Date.parse(message.ts) > sent.at - CLOCKS_MS,
      ),
  );
  const last = lost.at(-1);
  return {
    ...state,
    pending: [],
    refused: last
      ? {
          ...last,
          code: 'connection_lost',
          message: 'The connection broke before this was sent.',
        }
      : state.refused,
  };
}

function onError(state: RoomState, frame: ErrorFrame, context: Context): RoomState {
  const sent = state.pending.find((each) => each.nonce === frame.nonce);
  const pending = state.pending.filter((each) => each !== sent);
  let next: RoomState = { ...state, pending };
  const waitFor = WAITS[frame.code];
  if (waitFor && frame.retry_after !== undefined) {
    next = { ...next, waitFor, mayTalkAt: context.now + frame.retry_after * 1000 };
  }
  if (frame.code === AWAITS_REVIEW) {
    return withNote(next, 'Your message waits for a moderator to look at it.', context);
  }
  if (sent) return { ...next, refused: { ...sent, code: frame.code, message: frame.message } };
  // About no message of ours: an answer to a vote, or to a join.
  return withNote(next, frame.message, context, 'warn');
}

function withNote(
  state: RoomState,
  text: string,
  { now, paused }: Context,
  tone: NoteLine['tone'] = 'info',
): RoomState {
  return { ...state, lines: trimmed([...state.lines, note(text, now, tone)], paused) };
}

function onCleared(
  state: RoomState,
  frame: Extract<ServerFrame, { type: 'cleared' }>,
  context: Context,
): RoomState {
  const { user } = frame;
  const gone = frame.duration_s ? 'timeout' : user ? 'ban' : 'deleted';
  const lines = state.lines.map((line) =>
    line.type === 'message' && (!user || line.message.user.id === user.id)
      ? { ...line, gone: line.gone ?? (gone as MessageLine['gone']) }
      : line,
  );
  const next = { ...state, lines };
  if (!user) return withNote(next, 'A moderator cleared the chat.', context);
  const pinned = state.pinned?.user.id === user.id ? null : state.pinned;
  return { ...next, pinned };
}

/** One frame further. */
export function reduce(state: RoomState, frame: ServerFrame, context: Context): RoomState {
  switch (frame.type) {
    case 'joined':
      return onJoined(state, frame, context);
    case 'message':
      return onMessage(state, frame, context);
    case 'error':
      return onError(state, frame, context);
    case 'deleted':
      return {
        ...state,
        pinned: state.pinned?.id === frame.id ? null : state.pinned,
        lines: state.lines.map((line) =>
          line.key === frame.id && line.type === 'message'
            ? { ...line, gone: line.gone ?? 'deleted' }
            : line,
        ),
      };
    case 'cleared':
      return onCleared(state, frame, context);
    case 'settings':
      return onSettings(state, frame.settings, context);
    case 'notice':
      // A notice that answers a command settles it: no message will come of it.
      return withNote(
        { ...state, pending: state.pending.filter((each) => !isAnswered(each, frame.nonce)) },
        frame.message,
        context,
      );
    case 'viewers':
      return { ...state, viewers: frame.count };
    case 'held':
      return { ...state, held: [...state.held.filter((each) => each.id !== frame.id), frame] };
    case 'held_decided':
      return {
        ...state,
        held: state.held.filter((each) => each.id !== frame.id),
        heldDecided: [...state.heldDecided, frame.id].slice(-KEEP_LOG),
      };
    case 'me':
      return withStanding(state, standingOf(frame), context.now);
    case 'warned':
      return { ...state, me: { ...state.me, warning: { reason: frame.reason } } };
    case 'pinned':
      return { ...state, pinned: frame.message };
    case 'poll':
      return { ...state, poll: mergedPoll(state.poll, frame.poll) };
    case 'raid':
      return { ...state, raid: frame.state === 'cancelled' ? null : frame };
    case 'mod_log':
      return { ...state, log: [frame.entry, ...state.log].slice(0, KEEP_LOG) };
    case 'welcome':
    case 'shutdown':
    case 'pong':
      return state;
  }
}

/** Commands are answered by a notice; one that names no nonce answers the commands that are under way. */
function isAnswered(sent: Outgoing, nonce: string | undefined): boolean {
  return nonce === undefined ? sent.text.startsWith('/') : sent.nonce === nonce;
}

function standingOf(frame: Extract<ServerFrame, { type: 'me' }>): Partial<Me> {
  // What is not named no longer holds: the frame says all of one's standing.
  const me: Partial<Me> & { type?: string; channel?: string } = {
    timed_out_until: null,
    warning: null,
    ...frame,
  };
  delete me.type;
  delete me.channel;
  return me;
}

/** Counts go to everybody; what one voted oneself is only in the answer to one's own vote. */
function mergedPoll(old: Poll | null, poll: Poll | null): Poll | null {
  if (poll === null || old?.id !== poll.id || poll.voted != null) return poll;
  return { ...poll, voted: old.voted };
}

function onSettings(state: RoomState, changes: Partial<ChatSettings>, context: Context): RoomState {
  const settings = { ...state.settings, ...changes };
  const next: RoomState = { ...state, settings };
  if (changes.slow_s === 0 && state.waitFor === 'slow') {
    next.waitFor = null;
    next.mayTalkAt = 0;
  }
  return modeChanges(state.settings, settings).reduce(
    (with_, text) => withNote(with_, text, context),
    next,
  );
}

/** Mode changes in words, for everybody in the room. */
export function modeChanges(before: ChatSettings, after: ChatSettings): string[] {
  const texts: string[] = [];
  if (before.slow_s !== after.slow_s) {
    texts.push(
      after.slow_s ? `Slow mode: one message every ${after.slow_s} s.` : 'Slow mode is off.',
    );
  }
  if (before.followers_min !== after.followers_min) {
    texts.push(
      after.followers_min === null
        ? 'Followers-only mode is off.'
        : after.followers_min === 0
          ? 'Followers-only mode is on.'
          : `Followers-only mode: following for ${spanOfMinutes(after.followers_min)} or longer.`,
    );
  }
  const switches = [
    ['subscribers_only', 'Subscribers-only mode'],
    ['emote_only', 'Emote-only mode'],
    ['unique_chat', 'Unique chat'],
    ['shield', 'Shield mode'],
  ] as const;
  for (const [key, name] of switches) {
    if (before[key] !== after[key]) texts.push(`${name} is ${after[key] ? 'on' : 'off'}.`);
  }
  return texts;
}

export function spanOfMinutes(minutes: number): string {
  const [count, unit] =
    minutes % 1440 === 0 && minutes > 0
      ? [minutes / 1440, 'day']
      : minutes % 60 === 0 && minutes > 0
        ? [minutes / 60, 'hour']
        : [minutes, 'minute'];
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

// What this page does by itself

export function sending(state: RoomState, outgoing: Outgoing): RoomState {
  return { ...state, pending: [...state.pending, outgoing], refused: null };
}

export function refusalSeen(state: RoomState): RoomState {
  return state.refused === null ? state : { ...state, refused: null };
}

/** The reader is at the newest line again: what was kept for them may go. */
export function caughtUp(state: RoomState): RoomState {
  const { doubted, lines } = state;
  if (doubted === null && lines.length <= KEEP) return state;
  const last = lines.findIndex((line) => line.key === doubted);
  return { ...state, doubted: null, lines: trimmed(lines.slice(last + 1), false) };
}
