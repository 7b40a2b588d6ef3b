import { describe, expect, it } from 'vitest';
import { cutAt, formatTenths, HIGHLIGHT, moved, readClock } from './cut';

const stretch = { start: 10, end: 130 };

describe('a cut', () => {
  it.each([
    [50, 30, { start: 50, end: 80 }],
    [0, 30, { start: 10, end: 40 }],
    [120, 30, { start: 100, end: 130 }],
    [50, 2, { start: 50, end: 55 }],
    [50, 90, { start: 50, end: 110 }],
    [50.04, 30, { start: 50, end: 80 }],
  ])('at %d of %d s fits', (start, length, expected) => {
    expect(cutAt(start, length, stretch)).toEqual(expected);
  });

  it('stays inside a stretch whose ends are no tenths', () => {
    expect(cutAt(0, 30, { start: 0.04, end: 20.06 })).toEqual({ start: 0.1, end: 20 });
  });

  const cut = { start: 50, end: 80 };
  it.each([
    ['start', 60.123, { start: 60.1, end: 80 }],
    ['start', 78, { start: 78, end: 83 }],
    ['start', 12, { start: 12, end: 72 }],
    ['start', 999, { start: 125, end: 130 }],
    ['end', 40, { start: 35, end: 40 }],
    ['end', 129, { start: 69, end: 129 }],
    ['end', -5, { start: 10, end: 15 }],
  ] as const)(
    'whose %s is moved to %d is neither too short nor too long',
    (which, to, expected) => {
      expect(moved(cut, which, to, stretch)).toEqual(expected);
    },
  );

  it('of a highlight may be as long as the video', () => {
    const whole = { start: 0, end: 28_800.04 };
    expect(cutAt(0, 28_800, whole, HIGHLIGHT)).toEqual({ start: 0, end: 28_800 });
    expect(moved({ start: 600, end: 900 }, 'end', 9000, whole, HIGHLIGHT)).toEqual({
      start: 600,
      end: 9000,
    });
    expect(moved({ start: 600, end: 900 }, 'start', 1000, whole, HIGHLIGHT)).toEqual({
      start: 1000,
      end: 1001,
    });
  });

  it('is read in tenths', () => {
    expect(formatTenths(9.96)).toBe('0:10.0');
    expect(formatTenths(3729.4)).toBe('1:02:09.4');
  });

  it.each([
    ['1:02:09.4', 3729.4],
    ['12:30', 750],
    [' 90 ', 90],
    ['0:09,5', 9.5],
    ['7.', 7],
    ['', null],
    ['half', null],
    ['1:2:3:4', null],
    ['-5', null],
  ])('written as "%s" is %s', (text, at) => {
    expect(readClock(text)).toBe(at);
  });
});
