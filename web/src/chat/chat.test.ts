import { describe, expect, it } from 'vitest';
import { apply, complete, commandsFor, isWhole } from './complete';
import { badgesOf, luminance, nameColor } from './look';
import { overlayTheme } from './overlay-theme';
import { concerns, linkOf, partsOf } from './parts';
import { decode, type ChatMessage, type Joined } from './protocol';
import { joinFrame, pauseBeforeDialling } from './recovery';
import {
  EMPTY,
  KEEP,
  KEEP_PAUSED,
  LOOK_AGAIN,
  caughtUp,
  comingBack,
  modeChanges,
  NO_SETTINGS,
  reduce,
  sending,
  spanOfMinutes,
  type Context,
  type RoomState,
} from './room';
import { GUESS_PX, Heights } from './virtual';

const NOW = Date.parse('2026-03-01T20:00:00Z');
const HERE: Context = { now: NOW, selfId: '1', paused: false };

function message(offset: number, more: Partial<ChatMessage> = {}): ChatMessage {
  return {
    channel: 'ana',
    id: `m${offset}`,
    offset,
    kind: 'chat',
    user: { id: '2', login: 'bea', name: 'Bea', badges: [] },
    text: `text ${offset}`,
    emotes: [],
    ts: new Date(NOW).toISOString(),
    ...more,
  };
}

function joined(more: Partial<Joined> = {}): Joined {
  return {
    type: 'joined',
    channel: 'ana',
    channel_id: '9',
    settings: NO_SETTINGS,
    me: { role: 'viewer', badges: [], banned: false, can_moderate: false },
    history: [],
    offset: 0,
    epoch: 'e1',
    recovered: false,
    pinned: null,
    poll: null,
    raid: null,
    viewers: 3,
    ...more,
  };
}

const ids = (state: RoomState) =>
  state.lines.map((line) => (line.type === 'message' ? line.message.id : 'note'));

function inRoom(...messages: ChatMessage[]): RoomState {
  return reduce(EMPTY, joined({ history: messages, offset: messages.at(-1)?.offset ?? 0 }), HERE);
}

describe('frames', () => {
  it('passes over what it does not know', () => {
    expect(decode('{"type":"pong"}')).toEqual({ type: 'pong' });
    for (const text of ['', '[]', 'null', '{"type":"hologram"}', '{"type":7}', '{']) {
      expect(decode(text)).toBeNull();
    }
  });
});

describe('the room', () => {
  it('shows the history, then what comes, each once', () => {
    let room = inRoom(message(1), message(2));
    expect(room.arrived).toBe(0);
    room = reduce(room, { type: 'message', ...message(3) }, HERE);
    room = reduce(room, { type: 'message', ...message(3) }, HERE);
    expect(ids(room)).toEqual(['m1', 'm2', 'm3']);
    expect([room.offset, room.arrived]).toEqual([3, 1]);
    expect([...room.talkers]).toEqual([['bea', 'Bea']]);
  });

  it('keeps so many lines, and more while somebody reads back', () => {
    let room = inRoom();
    const paused = { ...HERE, paused: true };
    for (let n = 1; n <= KEEP_PAUSED + 5; n++) {
      room = reduce(room, { type: 'message', ...message(n) }, paused);
    }
    expect(room.lines).toHaveLength(KEEP_PAUSED);
    room = caughtUp(room);
    expect(room.lines).toHaveLength(KEEP);
    expect(ids(room).at(-1)).toBe(`m${KEEP_PAUSED + 5}`);
  });

  it('takes texts away by message, by person and all', () => {
    let room = inRoom(message(1), message(2, { user: { id: '3', login: 'cem', name: 'Cem' } }));
    room = reduce(room, { type: 'deleted', channel: 'ana', id: 'm1' }, HERE);
    expect(room.lines[0]).toMatchObject({ gone: 'deleted' });
    const user = { id: '3', login: 'cem' };
    const timeout = { type: 'cleared', channel: 'ana', user, duration_s: 60 } as const;
    room = reduce(room, timeout, HERE);
    expect(room.lines[1]).toMatchObject({ gone: 'timeout' });
    room = reduce(room, { type: 'cleared', channel: 'ana' }, HERE);
    expect(room.lines.at(-1)).toMatchObject({ type: 'note' });
    expect(room.lines[1]).toMatchObject({ gone: 'timeout' });
  });

  it('fills the gap after a loss, and says when it cannot', () => {
    const before = comingBack(inRoom(message(1), message(2)), false);
    const back = { epoch: 'e1', offset: 4, recovered: true };
    const history = [message(1), message(2), message(3), message(4)];
    const whole = reduce(before, joined({ ...back, history }), HERE);
    expect(ids(whole)).toEqual(['m1', 'm2', 'm3', 'm4']);
    expect(whole.lines.some((line) => line.type === 'message' && line.gone)).toBe(false);
    expect(whole.arrived).toBe(2);

    const renewed = joined({ epoch: 'e2', offset: 12, history: [message(11), message(12)] });
    const holed = reduce(before, renewed, HERE);
    // What was there before cannot be looked at again: it might have been taken away.
    expect(ids(holed)).toEqual(['note', 'm11', 'm12']);
    expect([holed.epoch, holed.offset]).toEqual(['e2', 12]);

    const overlapping = joined({ epoch: 'e2', offset: 3, history: [message(2), message(3)] });
    expect(ids(reduce(before, overlapping, HERE))).toEqual(['m2', 'm3']);
  });

  it('keeps after a gap what somebody is reading, until they are at the newest again', () => {
    const before = comingBack(inRoom(message(1), message(2)), true);
    const renewed = joined({ epoch: 'e2', offset: 12, history: [message(11), message(12)] });
    const reading = reduce(before, renewed, { ...HERE, paused: true });
    expect(ids(reading)).toEqual(['m1', 'm2', 'note', 'm11', 'm12']);
    expect(reading.lines.some((line) => line.type === 'message' && line.gone)).toBe(false);
    expect(ids(caughtUp(reading))).toEqual(['note', 'm11', 'm12']);
  });

  it('takes away after a loss what was taken away meanwhile', () => {
    const before = comingBack(inRoom(message(1), message(2), message(3)), false);
    const back = joined({ offset: 3, recovered: true, history: [message(1), message(3)] });
    const gone = (state: RoomState) =>
      state.lines.map((line) => line.type === 'message' && line.gone);
    expect(gone(reduce(before, back, HERE))).toEqual([undefined, 'deleted', undefined]);
    const cleared = joined({ offset: 3, recovered: true, history: [] });
    expect(gone(reduce(before, cleared, HERE))).toEqual(['deleted', 'deleted', 'deleted']);
    // This process has not heard of the last one yet.
    const behind = joined({ offset: 2, recovered: true, history: [message(1), message(2)] });
    expect(gone(reduce(before, behind, HERE))).toEqual([undefined, undefined, undefined]);
  });

  it('asks again for the last lines, and shows none that it does not ask for', () => {
    const all = Array.from({ length: LOOK_AGAIN + 50 }, (_, n) => message(n + 1));
    const before = comingBack(inRoom(...all), false);
    expect(before.since).toBe(50);
    const history = all.slice(50);
    const room = reduce(before, joined({ offset: 150, recovered: true, history }), HERE);
    expect(ids(room)).toEqual(history.map(({ id }) => id));
    expect(comingBack(inRoom(...all), true).since).toBe(0);
  });

  it('joins again from where it was', () => {
    expect(joinFrame('ana', EMPTY)).toEqual({ type: 'join', channel: 'ana' });
    expect(joinFrame('ana', comingBack(inRoom(message(7)), false))).toEqual({
      type: 'join',
      channel: 'ana',
      since: 6,
      epoch: 'e1',
    });
  });
});

describe('sending', () => {
  const sent = { nonce: 'n1', text: 'hello', at: NOW };
  const mine = { id: '1', login: 'me', name: 'Me' };

  it('is settled by the room', () => {
    const room = sending(inRoom(), sent);
    const echo = message(1, { user: mine, text: 'hello', nonce: 'n1' });
    expect(reduce(room, { type: 'message', ...echo }, HERE).pending).toEqual([]);
  });

  it('keeps the text of what was refused, with the reason', () => {
    const error = { type: 'error', code: 'msg_duplicate', message: 'Said already.', nonce: 'n1' };
    const room = reduce(sending(inRoom(), sent), error as never, HERE);
    expect(room.refused).toMatchObject({ text: 'hello', code: 'msg_duplicate' });
    expect(room.pending).toEqual([]);
  });

  it('counts down what was refused for a time, and slow mode from the message on', () => {
    const error = {
      type: 'error',
      code: 'msg_ratelimit',
      message: 'Too fast.',
      nonce: 'n1',
      retry_after: 4,
    } as const;
    const limited = reduce(sending(inRoom(), sent), error, HERE);
    expect([limited.mayTalkAt, limited.waitFor]).toEqual([NOW + 4000, 'rate']);

    const slow = joined({ settings: { ...NO_SETTINGS, slow_s: 30 } });
    const echo = { type: 'message', ...message(1, { user: mine }) } as const;
    const after = reduce(reduce(EMPTY, slow, HERE), echo, HERE);
    expect([after.mayTalkAt, after.waitFor]).toEqual([NOW + 30_000, 'slow']);
    const off = reduce(after, { type: 'settings', channel: 'ana', settings: { slow_s: 0 } }, HERE);
    expect(off.mayTalkAt).toBe(0);
    const vip = joined({ ...slow, me: { ...slow.me, role: 'vip' } });
    expect(reduce(reduce(EMPTY, vip, HERE), echo, HERE).mayTalkAt).toBe(0);
  });

  it('a message for review is neither lost nor refused', () => {
    const error = { type: 'error', code: 'msg_rejected', message: 'Held.', nonce: 'n1' } as const;
    const room = reduce(sending(inRoom(), sent), error, HERE);
    expect(room.refused).toBeNull();
    expect(ids(room)).toEqual(['note']);
  });

  it('is found in the room after a loss, or refused with its text', () => {
    const room = sending(inRoom(message(1)), sent);
    const arrived = message(2, { user: mine, text: 'hello' });
    const found = joined({ recovered: true, offset: 2, history: [arrived] });
    expect(reduce(room, found, HERE)).toMatchObject({ refused: null, pending: [] });
    const lost = reduce(room, joined({ recovered: true, offset: 1 }), HERE);
    expect(lost.refused).toMatchObject({ code: 'connection_lost', text: 'hello' });
  });

  it('waits out a timeout and goes on when it is lifted', () => {
    const until = new Date(NOW + 60_000).toISOString();
    const out = { type: 'me', channel: 'ana', timed_out_until: until } as const;
    const room = reduce(inRoom(), out, HERE);
    expect([room.mayTalkAt, room.waitFor]).toEqual([NOW + 60_000, 'timeout']);
    const back = reduce(room, { type: 'me', channel: 'ana', banned: false }, HERE);
    expect(back.mayTalkAt).toBe(0);
  });
});

describe('modes', () => {
  it('are told in words', () => {
    const after = { ...NO_SETTINGS, slow_s: 10, followers_min: 90, emote_only: true };
    expect(modeChanges(NO_SETTINGS, after)).toEqual([
      'Slow mode: one message every 10 s.',
      'Followers-only mode: following for 90 minutes or longer.',
      'Emote-only mode is on.',
    ]);
    expect(spanOfMinutes(1440)).toBe('1 day');
    expect(spanOfMinutes(120)).toBe('2 hours');
  });
});

describe('recovery', () => {
  it('waits longer each time, spread by chance, and never for ever', () => {
    expect(pauseBeforeDialling(0, 0)).toBe(200);
    expect(pauseBeforeDialling(0, 0.999)).toBeLessThan(400);
    expect(pauseBeforeDialling(3, 0)).toBe(1600);
    expect(pauseBeforeDialling(50, 0.999)).toBeLessThanOrEqual(20_000);
    expect(pauseBeforeDialling(0, 0.5, 2)).toBe(3000);
  });
});

describe('the virtual list', () => {
  const keys = Array.from({ length: 100 }, (_, n) => `k${n}`);

  it('draws what can be seen, and the right space around it', () => {
    const heights = new Heights();
    const window = heights.windowOf(keys, 10 * GUESS_PX, 5 * GUESS_PX, GUESS_PX);
    expect(window).toEqual({ start: 9, end: 16, before: 9 * GUESS_PX, after: 84 * GUESS_PX });
    for (const key of keys) heights.set(key, 50);
    expect(heights.windowOf(keys, 0, 100, 0)).toEqual({ start: 0, end: 2, before: 0, after: 4900 });
    expect(heights.windowAtEnd(keys, 100, 50)).toEqual({
      start: 97,
      end: 100,
      before: 4850,
      after: 0,
    });
    expect(heights.windowOf([], 0, 100, 0)).toEqual({ start: 0, end: 0, before: 0, after: 0 });
  });

  it('holds on to the line that is read while others change', () => {
    const heights = new Heights();
    const anchor = heights.anchorAt(keys, 3 * GUESS_PX + 4);
    expect(anchor).toEqual({ key: 'k3', into: 4 });
    heights.set('k0', 100);
    expect(heights.topOf(keys, 'k3')).toBe(100 + 2 * GUESS_PX);
    expect(heights.topOf(keys, 'gone')).toBe(-1);
    expect(heights.set('k0', 100)).toBe(false);
  });
});

describe('texts', () => {
  it('are words, emotes by code points, links and mentions', () => {
    const emotes = [{ id: '7', code: 'Lit', start: 3, end: 5 }];
    expect(partsOf('👋🏽 Lit @Ana, see https://example.org/a?b.', emotes)).toEqual([
      { type: 'text', text: '👋🏽 ' },
      { type: 'emote', id: '7', code: 'Lit' },
      { type: 'text', text: ' ' },
      { type: 'mention', login: 'ana', text: '@Ana' },
      { type: 'text', text: ', see ' },
      { type: 'link', href: 'https://example.org/a?b', text: 'https://example.org/a?b' },
      { type: 'text', text: '.' },
    ]);
    expect(partsOf('ab', [{ id: '7', code: 'x', start: 1, end: 9 }])).toEqual([
      { type: 'text', text: 'ab' },
    ]);
  });

  it.each([
    ['https://a.example/b', 'https://a.example/b'],
    ['www.a.example', 'https://www.a.example/'],
    ['javascript:alert(1)', null],
    ['data:text/html,x', null],
    ['http://', null],
    ['a.example', null],
  ])('%s links to %s', (word, href) => {
    expect(linkOf(word)?.href ?? null).toBe(href);
  });

  it('concern who is named or answered, and not who wrote them', () => {
    expect(concerns(message(1, { text: 'hey @ANA!' }), 'ana')).toBe(true);
    expect(concerns(message(1, { text: 'hey @anabel' }), 'ana')).toBe(false);
    const reply = { id: 'x', user: { login: 'ana', name: 'Ana' }, text: '' };
    expect(concerns(message(1, { reply_to: reply }), 'ana')).toBe(true);
    expect(concerns(message(1, { text: '@bea' }), 'bea')).toBe(false);
  });
});

describe('completion', () => {
  const known = {
    talkers: new Map([
      ['anabel', 'Anabel'],
      ['bea', 'Bea'],
      ['anton', 'Toni'],
    ]),
    emotes: [
      { id: '1', code: 'Lit' },
      { id: '2', code: 'MicDrop' },
      { id: '3', code: 'Ghostlight' },
    ],
    role: 'viewer' as const,
  };
  const keys = (text: string) => complete(text, text.length, known)?.items.map(({ key }) => key);

  it('offers people, emotes and commands', () => {
    expect(keys('hi @an')).toEqual(['@anton', '@anabel']);
    expect(keys('@ton')).toEqual(['@anton']);
    expect(keys(':li')).toEqual([':1', ':3']);
    expect(keys('/m')).toEqual(['/me', '/mods']);
    expect(keys('hello')).toBeUndefined();
    expect(keys('and /m')).toBeUndefined();
    expect(keys('/mods')).toBeUndefined();
  });

  it('puts the choice in place of the word', () => {
    const found = complete('hi @an there', 6, known);
    expect(apply('hi @an there', found ?? { from: 0, to: 0 }, '@anton ')).toEqual({
      text: 'hi @anton there',
      caret: 10,
    });
  });

  it('leaves a name alone that is typed whole', () => {
    const whole = (text: string) => {
      const found = complete(text, text.length, known);
      return found?.items[0] && isWhole(text, found, found.items[0]);
    };
    expect([whole('hi @anton'), whole('hi @Anton'), whole('hi @anto')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('offers moderators more than viewers, and the broadcaster most', () => {
    const count = (role: 'viewer' | 'moderator' | 'broadcaster') => commandsFor(role).length;
    expect(count('viewer')).toBeLessThan(count('moderator'));
    expect(count('moderator')).toBeLessThan(count('broadcaster'));
  });
});

describe('looks', () => {
  it.each(['#0000ff', '#000000', '#800000', '#ff7f50', '#2e8b57', '#8a2be2', '#00ff00', null])(
    'a name in %s can be read',
    (color) => {
      const shown = nameColor(color, 'ana');
      const [hue = 0, saturation = 0, light = 0] = (shown.match(/[\d.]+/g) ?? []).map(Number);
      expect(luminance(hue, saturation, light)).toBeGreaterThan(0.28);
    },
  );

  it('keeps a colour that can be read already', () => {
    expect(nameColor('#00ff00', 'ana')).toBe('hsl(120 100% 50%)');
  });

  it('draws the badges that it knows', () => {
    expect(badgesOf(['moderator/1', 'hologram/7', 'subscriber/3']).map(({ name }) => name)).toEqual(
      ['Moderator', 'Subscriber'],
    );
  });

  it('takes an overlay from its address, and nothing that is not one of its choices', () => {
    const theme = overlayTheme(
      'size=40&color=ff0&fade=15&boxes=1&hide=bot,Other&badges=0&font=mono',
    );
    expect(theme).toMatchObject({ size: 40, text: '#ff0', fadeS: 15, boxes: true, badges: false });
    expect([...theme.hide]).toEqual(['bot', 'other']);
    const wild = overlayTheme('size=9999&color=red;x:url(y)&font=x)&align=middle');
    expect(wild).toMatchObject({ size: 120, text: '#ffffff', font: 'var(--font)', align: 'left' });
  });
});
