/**
 * One room over one WebSocket: connects, joins, and comes back by itself after every loss. What comes in
 * is fed to the reducer; who watches is told once a frame of the screen, however much came.
 */
import { freshLogin, hasLogin } from '../api/client';
import { decode, type ChatMessage, type ClientFrame, type ServerFrame } from './protocol';
import { joinFrame, pauseBeforeDialling } from './recovery';
import {
  EMPTY,
  caughtUp,
  comingBack,
  reduce,
  refusalSeen,
  sending,
  type Context,
  type RoomState,
} from './room';

/** Say something when nothing was heard for this long, and give up when it is not answered, ms. */
const QUIET_MS = 25_000;
const ANSWER_MS = 10_000;
/** Loss that is made good within this time is not worth a word, ms. */
export const UNNOTICED_MS = 1500;
/** How often the page is told while it is not looked at, ms. */
const HIDDEN_MS = 400;
const VISIBLE_MS = 16;

export type Link =
  | { status: 'connecting' | 'open' }
  | { status: 'waiting'; until: number; attempt: number; lostAt: number }
  /** The server does not want this room to be joined: no such channel. */
  | { status: 'closed'; reason: string };

export interface Self {
  id: string;
  login: string;
  name: string;
  color?: string | null;
}

export interface ChatSnapshot {
  room: RoomState;
  link: Link;
  self: Self | null;
  /** Server clock minus ours, ms. */
  clockOffsetMs: number;
  messageLength: number;
}

const CLOSING: Record<string, string> = {
  not_found: 'There is no such chat.',
  channel_not_found: 'There is no such chat.',
  no_such_channel: 'There is no such chat.',
};

export class ChatConnection {
  private state: ChatSnapshot = {
    room: EMPTY,
    link: { status: 'connecting' },
    self: null,
    clockOffsetMs: 0,
    messageLength: 500,
  };
  private shown = this.state;
  private readonly listeners = new Set<() => void>();
  private socket: WebSocket | null = null;
  private attempt = 0;
  private lostAt: number | null = null;
  private hint: number | null = null;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private quietTimer: ReturnType<typeof setTimeout> | undefined;
  private tellTimer: ReturnType<typeof setTimeout> | undefined;
  private askedAsNobody = false;
  private ended = false;
  private paused = false;
  private nonces = 0;

  constructor(readonly channel: string) {
    addEventListener('online', this.hurry);
    document.addEventListener('visibilitychange', this.hurry);
    void this.open();
  }

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  };

  readonly snapshot = (): ChatSnapshot => this.shown;

  /** Leave for good. */
  close() {
    this.ended = true;
    removeEventListener('online', this.hurry);
    document.removeEventListener('visibilitychange', this.hurry);
    for (const timer of [this.retryTimer, this.quietTimer, this.tellTimer]) clearTimeout(timer);
    this.drop();
  }

  /** Somebody has logged in or out: the room must know who listens. */
  reopen() {
    this.askedAsNobody = false;
    this.attempt = 0;
    this.drop();
    clearTimeout(this.retryTimer);
    void this.open();
  }

  /** Send a message or a command. It stays pending until the room has it or the server refuses it. */
  say(text: string, replyTo?: ChatMessage): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN || !this.state.room.joined) return false;
    const nonce = `${Date.now().toString(36)}-${(this.nonces += 1)}`;
    this.setRoom(sending(this.state.room, { nonce, text, replyTo, at: this.now() }));
    this.send({ type: 'say', channel: this.channel, text, nonce, reply_to: replyTo?.id });
    return true;
  }

  vote(poll: string, choice: number) {
    this.send({ type: 'vote', channel: this.channel, poll, choice });
    const { room } = this.state;
    if (room.poll?.id === poll) this.setRoom({ ...room, poll: { ...room.poll, voted: choice } });
  }

  acknowledgeWarning() {
    this.send({ type: 'ack_warning', channel: this.channel });
    const { room } = this.state;
    this.setRoom({ ...room, me: { ...room.me, warning: null } });
  }

  dismissRefusal() {
    this.setRoom(refusalSeen(this.state.room));
  }

  /** While a reader has scrolled up, lines are kept. */
  pause(paused: boolean) {
    this.paused = paused;
    if (!paused) this.setRoom(caughtUp(this.state.room));
  }

  /** Try again now instead of after the pause. */
  readonly hurry = () => {
    if (document.hidden || this.state.link.status !== 'waiting') return;
    clearTimeout(this.retryTimer);
    void this.open();
  };

  private now(): number {
    return Date.now() + this.state.clockOffsetMs;
  }

  private send(frame: ClientFrame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  private async open() {
    if (this.lostAt === null) this.set({ link: { status: 'connecting' } });
    // The socket is let in by the login's cookie, which must not have run out.
    if (hasLogin()) await freshLogin().catch(() => undefined);
    if (this.ended || this.socket !== null) return;
    const socket = new WebSocket(
      `${location.protocol === 'http:' ? 'ws' : 'wss'}://${location.host}/chat`,
    );
    this.socket = socket;
    socket.onopen = () => {
      this.send({ type: 'hello' });
      this.listenForSilence();
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      this.listenForSilence();
      const frame = decode(event.data);
      if (frame) this.receive(frame);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
  }

  private drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close(1000);
  }

  private lost() {
    this.socket = null;
    clearTimeout(this.quietTimer);
    if (this.ended || this.state.link.status === 'closed') return;
    this.lostAt ??= Date.now();
    const pause = pauseBeforeDialling(this.attempt, Math.random(), this.hint);
    this.hint = null;
    this.attempt += 1;
    this.set({
      link: {
        status: 'waiting',
        until: Date.now() + pause,
        attempt: this.attempt,
        lostAt: this.lostAt,
      },
      room: { ...this.state.room, joined: false },
    });
    this.retryTimer = setTimeout(() => void this.open(), pause);
  }

  private listenForSilence() {
    clearTimeout(this.quietTimer);
    this.quietTimer = setTimeout(() => {
      this.send({ type: 'ping', t: Date.now() });
      this.quietTimer = setTimeout(() => {
        // Half-open: the browser would find out in minutes.
        this.drop();
        this.lost();
      }, ANSWER_MS);
    }, QUIET_MS);
  }

  private receive(frame: ServerFrame) {
    if ('channel' in frame && frame.channel !== undefined && frame.channel !== this.channel) return;
    if (frame.type === 'welcome') {
      this.onWelcome(frame);
      return;
    }
    if (frame.type === 'shutdown') this.hint = frame.retry_after ?? 1;
    if (frame.type === 'error' && !this.state.room.joined && frame.code in CLOSING) {
      this.set({ link: { status: 'closed', reason: CLOSING[frame.code] ?? frame.message } });
      this.drop();
      return;
    }
    if (frame.type === 'joined') {
      this.attempt = 0;
      this.lostAt = null;
      this.set({ link: { status: 'open' } });
    }
    const context: Context = {
      now: this.now(),
      selfId: this.state.self?.id ?? null,
      paused: this.paused,
    };
    this.setRoom(reduce(this.state.room, frame, context));
  }

  private onWelcome(frame: Extract<ServerFrame, { type: 'welcome' }>) {
    if (frame.user === null && hasLogin() && !this.askedAsNobody) {
      // The cookie ran out on the way, or another tab renewed it just now.
      this.askedAsNobody = true;
      this.reopenOnce();
      return;
    }
    this.set({
      self: frame.user,
      clockOffsetMs: frame.server_time ? Date.parse(frame.server_time) - Date.now() : 0,
      messageLength: frame.limits?.message_length ?? 500,
    });
    this.setRoom(comingBack(this.state.room, this.paused));
    this.send(joinFrame(this.channel, this.state.room));
  }

  private reopenOnce() {
    this.drop();
    void freshLogin(true)
      .catch(() => undefined)
      .then(() => this.open());
  }

  private setRoom(room: RoomState) {
    if (room !== this.state.room) this.set({ room });
  }

  private set(change: Partial<ChatSnapshot>) {
    this.state = { ...this.state, ...change };
    this.tellTimer ??= setTimeout(
      () => {
        this.tellTimer = undefined;
        this.shown = this.state;
        this.listeners.forEach((listener) => listener());
      },
      document.hidden ? HIDDEN_MS : VISIBLE_MS,
    );
  }
}
