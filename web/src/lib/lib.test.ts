import { describe, expect, it } from 'vitest';
import { firstPages } from '../api/use-pages';
import { device } from './device';
import { formatAgo, formatBitrate, formatClock, formatCount, formatSpan } from './format';
import { hueOf, initials } from './names';
import { nearest, pathOf, rangeOf } from './plot';
import { channelLogin, isBare, loginPath, returnPath } from './routes';

describe('lists', () => {
  const pages = [
    { items: [1, 2], next_cursor: 'a' },
    { items: [3], next_cursor: 'b' },
    { items: [4], next_cursor: null },
  ];
  const load = (cursor: string | null) =>
    Promise.resolve(
      pages[cursor === null ? 0 : cursor === 'a' ? 1 : 2] ?? { items: [], next_cursor: null },
    );

  it('are as long as was asked for, and end', async () => {
    expect(await firstPages(2, load)).toEqual({ items: [1, 2, 3], next_cursor: 'b', pages: 2 });
    expect(await firstPages(9, load)).toEqual({
      items: [1, 2, 3, 4],
      next_cursor: null,
      pages: 3,
    });
  });
});

describe('routes', () => {
  it.each([
    ['/ana', 'ana'],
    ['/Ana/', 'ana'],
    ['/0x_1', '0x_1'],
    ['/', null],
    ['/ab', null],
    ['/_ana', null],
    ['/ana/videos', null],
    ['/settings', null],
    ['/dashboard', null],
    [`/${'a'.repeat(26)}`, null],
  ])('%s shows the channel %s', (path, login) => {
    expect(channelLogin(path)).toBe(login);
  });

  it.each([
    ['/ana/chat', true],
    ['/ana/chat/', true],
    ['/overlay/chat/ana', true],
    ['/embed/ana', true],
    ['/embed/videos/7', true],
    ['/embed/clips/abc', true],
    ['/embed', false],
    ['/embed/videos/7/more', false],
    ['/dashboard/chat', false],
    ['/ana', false],
    ['/ana/chat/more', false],
  ])('%s is a window of its own: %s', (path, bare) => {
    expect(isBare(path)).toBe(bare);
  });

  it.each([
    ['next=%2Fdashboard', '/dashboard'],
    ['next=%2F%2Fevil.example', '/'],
    ['next=%2F%5Cevil.example', '/'],
    ['next=https%3A%2F%2Fevil.example', '/'],
    ['', '/'],
  ])('after a login with "%s" goes to %s', (search, to) => {
    expect(returnPath(search)).toBe(to);
  });

  it('keeps the way back to the page that asked for a login', () => {
    expect(loginPath('/settings')).toBe('/login?next=%2Fsettings');
    expect(loginPath('/')).toBe('/login');
    expect(loginPath('/login')).toBe('/login');
  });
});

describe('format', () => {
  it('writes counts, clocks, spans and bitrates', () => {
    expect(formatCount(1284)).toBe('1.3K');
    expect(formatClock(3729)).toBe('1:02:09');
    expect(formatClock(425)).toBe('7:05');
    expect(formatClock(-3)).toBe('0:00');
    expect(formatSpan(40)).toBe('40 s');
    expect(formatSpan(7500)).toBe('2 h 5 min');
    expect(formatBitrate(850_000)).toBe('850 kb/s');
    expect(formatBitrate(3_210_000)).toBe('3.2 Mb/s');
  });

  it('says how long ago in words', () => {
    const now = new Date('2026-01-02T12:00:00Z');
    expect(formatAgo(new Date('2026-01-02T11:59:40Z'), now)).toBe('just now');
    expect(formatAgo(new Date('2026-01-02T09:00:00Z'), now)).toBe('3 hours ago');
    expect(formatAgo(new Date('2026-01-01T12:00:00Z'), now)).toBe('yesterday');
  });
});

describe('names', () => {
  it.each([
    ['Ana Duarte', 'AD'],
    ['kestrel_plays', 'KP'],
    ['mira', 'M'],
    ['Юра', 'Ю'],
    ['👩‍🚀 Astro', '👩‍🚀A'],
    ['  ', '?'],
  ])('%s is %s in short', (name, letters) => {
    expect(initials(name)).toBe(letters);
  });

  it('has always the same hue', () => {
    expect(hueOf('ana')).toBe(hueOf('ana'));
    expect(hueOf('ana')).not.toBe(hueOf('bea'));
  });
});

describe('device', () => {
  it('names browser and system', () => {
    expect(device('Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko Firefox/133.0')).toBe(
      'Firefox on Linux',
    );
    expect(device('Mozilla/5.0 (Windows NT 10.0) Chrome/131 Safari/537 Edg/131')).toBe(
      'Edge on Windows',
    );
    expect(device('')).toBe('Unknown device');
  });
});

describe('plot', () => {
  const points = [
    { at: 0, value: 10 },
    { at: 1000, value: 20 },
    { at: 2000, value: null },
    { at: 3000, value: 20 },
    { at: 9000, value: 10 },
  ];

  it('draws a line that breaks where nothing was measured or time is missing', () => {
    const frame = { from: 0, to: 10_000, low: 0, high: 20 };
    expect(pathOf(points, frame, { width: 100, height: 10, gapMs: 5000 })).toBe(
      'M0 5L10 0M30 0M90 5',
    );
  });

  it('keeps a range that noise does not fill', () => {
    expect(rangeOf([{ at: 0, value: 30 }], { floor: 0, least: 10 })).toEqual({
      low: 23.5,
      high: 36.5,
    });
    expect(rangeOf([], { least: 5 })).toEqual({ low: 0, high: 5 });
  });

  it('finds the measured point under the pointer', () => {
    expect(nearest(points, 1900, 1000)).toEqual({ at: 1000, value: 20 });
    expect(nearest(points, 6000, 1000)).toBeNull();
  });
});
