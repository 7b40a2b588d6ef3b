import { describe, expect, it } from 'vitest';
import { chapterAt, clamp, mediaAt, partsOf, runsOf, share, wallAt } from './scale';
import { parseStoryboard, pictureAt } from './storyboard';
import { withTokenOf } from './video-player';

describe('storyboard', () => {
  const text = [
    'WEBVTT',
    '',
    '00:00.000 --> 00:10.000',
    'storyboard/0.jpg#xywh=0,0,160,90',
    '',
    '00:00:10.000 --> 01:00:20.500',
    'storyboard/0.jpg#xywh=160,0,160,90',
    '',
    'broken --> 3',
    'x',
  ].join('\r\n');
  const pictures = parseStoryboard(text, 'http://host/vod/~token/7/storyboard.vtt');

  it('names pictures relative to its own address and leaves out what it cannot mean', () => {
    expect(pictures).toHaveLength(2);
    expect(pictures[1]).toEqual({
      start: 10,
      end: 3620.5,
      url: 'http://host/vod/~token/7/storyboard/0.jpg',
      x: 160,
      y: 0,
      width: 160,
      height: 90,
    });
  });

  it.each([
    [0, 0],
    [9.9, 0],
    [10, 10],
    [99_999, 10],
  ])('shows at %d s the picture from %d s', (at, start) => {
    expect(pictureAt(pictures, at)?.start).toBe(start);
  });

  it('has none without pictures', () => {
    expect(pictureAt([], 3)).toBeNull();
  });
});

describe('the line', () => {
  const line = { start: 0, end: 1000, at: 0, buffered: 0 };
  const chapter = (at_s: number, title: string) => ({ at_s, title, category: null });

  it('is one part without chapters', () => {
    expect(partsOf([], line)).toEqual([{ start: 0, end: 1000, chapter: null }]);
  });

  it('is drawn in chapters, too short ones with their neighbour', () => {
    const chapters = [chapter(0, 'a'), chapter(400, 'b'), chapter(401, 'c'), chapter(2000, 'd')];
    expect(
      partsOf(chapters, line).map(({ start, end, chapter: c }) => [start, end, c?.title]),
    ).toEqual([
      [0, 400, 'a'],
      [400, 1000, 'c'],
    ]);
    expect(chapterAt(chapters, 400.5)?.title).toBe('b');
  });

  it('keeps inside its ends', () => {
    expect(share(500, 0, 1000)).toBe(0.5);
    expect(share(5, 3, 3)).toBe(0);
    expect(clamp(-4, line)).toBe(0);
  });
});

describe('clocks of a record', () => {
  const wall = 1_700_000_000;
  const fragment = (start: number, at: number, cc = 0) => ({
    start,
    duration: 2,
    cc,
    programDateTime: (wall + at) * 1000,
  });
  // A reconnect of 30 s after 4 s of pictures.
  const runs = runsOf([fragment(0, 0), fragment(2, 2.01), fragment(4, 34, 1), fragment(6, 36, 1)]);

  it('are runs without a gap', () => {
    expect(runs.map(({ start, duration }) => [start, duration])).toEqual([
      [0, 4],
      [4, 4],
    ]);
  });

  it.each([
    [wall + 1, 1],
    [wall + 20, 4],
    [wall + 35, 5],
    [wall - 9, 0],
    [wall + 99, 8],
  ])('%d is at %d s', (at, media) => {
    expect(mediaAt(runs, at)).toBe(media);
  });

  it('lead back', () => {
    expect(wallAt(runs, 5)).toBe(wall + 35);
    expect(wallAt([], 5)).toBeNull();
    expect(mediaAt([], 5)).toBeNull();
  });
});

describe('addresses', () => {
  it('take the newest token', () => {
    expect(withTokenOf('/vod/~old/7/source/3.m4s', '/vod/~new/7/index.m3u8')).toBe(
      '/vod/~new/7/source/3.m4s',
    );
    expect(withTokenOf('/vod/7/source/3.m4s', '/vod/7/index.m3u8')).toBe('/vod/7/source/3.m4s');
  });
});
