import { describe, expect, it } from 'vitest';
import { told } from './audit-words';

describe('a line of the audit log', () => {
  it.each([
    [
      'account.role_changed',
      'Bea',
      { before: 'viewer', after: 'moderator' },
      ['changed the role of Bea', [], ['before: viewer', 'now: moderator']],
    ],
    [
      'video.removed',
      'Bea',
      { video_id: 7, title: 'Dawn', reason: 'stolen' },
      ['removed a video of Bea', ['Dawn', 'stolen'], ['video id: 7']],
    ],
    [
      'chat.timeout',
      'Bea',
      { channel_id: 1, reason: 'spam', duration_s: 600 },
      ['timed Bea out for 10 min', ['spam'], []],
    ],
    [
      'something.new_here',
      null,
      { deep: { a_b: true }, none: null },
      ['something new here', [], ['deep: a b yes']],
    ],
  ])('%s is said in words', (action, target, data, [sentence, quotes, notes]) => {
    expect(told(action, target, data)).toEqual({ sentence, quotes, notes });
  });
});
