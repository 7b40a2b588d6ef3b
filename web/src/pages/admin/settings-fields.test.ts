import { describe, expect, it } from 'vitest';
import { FIELDS, read, shown, weigh, words } from './settings-fields';

const field = (name: string) => {
  const found = FIELDS.get(name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe('a setting', () => {
  it.each([
    ['upload_max_bytes', '2.5', { value: 2_500_000_000 }],
    ['upload_max_bytes', '0', { fault: 'From 0.001 to 1125899.' }],
    ['upload_parallel', '1.5', { fault: 'Only whole numbers.' }],
    ['grace_s', '', { fault: 'This is not a number.' }],
    ['grace_s', '1,5', { value: 1.5 }],
    ['ladder', '720p, 480p', { value: '720p,480p' }],
    ['ladder', 'best', { fault: 'Write auto, off, or heights such as 720p,480p.' }],
    ['instance_name', ' ', { fault: 'This cannot be empty.' }],
    ['banner_until', '', { value: null }],
  ])('%s is read', (name, text, result) => {
    expect(read(field(name), text)).toEqual(result);
  });

  it('is shown as it is put in', () => {
    expect(shown(field('upload_max_bytes'), 53_687_091_200)).toBe('53.687');
    expect(shown(field('recording'), true)).toBe(true);
  });

  it('is said in words', () => {
    expect(words('max_streams', 0)).toBe('no limit');
    expect(words('grace_s', 60)).toBe('60 s');
    expect(words('who_may_stream', 'nobody')).toBe('Nobody');
    expect(words('of_tomorrow', 7)).toBe('“7”');
  });

  it('counts as changed only where its value is another', () => {
    const values = {
      grace_s: 60,
      upload_max_bytes: 53_687_091_200,
      recording: true,
      ladder: 'auto',
    };
    const draft = { grace_s: '60.0', upload_max_bytes: '53.687', recording: false, ladder: 'x' };
    expect(weigh(draft, values)).toEqual({
      changes: { recording: false },
      faults: { ladder: 'Write auto, off, or heights such as 720p,480p.' },
    });
  });
});
