import { describe, expect, it } from 'vitest';
import type { ReplayMessage } from '../api/videos';
import { PART_S, Replay } from './replay';

const message = (at_s: number): ReplayMessage => ({
  at_s,
  id: String(at_s),
  ts: '2026-01-01T00:00:00Z',
  user: { id: '1', login: 'ana', name: 'Ana' },
  text: 'hello',
});

describe('a chat beside its playhead', () => {
  it('asks for where it is, what comes and what was', () => {
    const replay = new Replay();
    expect(replay.wanted(0, 1000)).toEqual([0]);
    expect(replay.wanted(PART_S - 10, 1000)).toEqual([0, 1]);
    expect(replay.wanted(3.5 * PART_S, 1000)).toEqual([3, 2]);
    replay.put(3, []);
    expect(replay.wanted(3.5 * PART_S, 1000)).toEqual([2]);
    expect(replay.wanted(PART_S - 1, PART_S - 1)).toEqual([0]);
  });

  it('shows what has been said, forwards and backwards', () => {
    const replay = new Replay();
    replay.put(0, [message(1), message(100)]);
    replay.put(1, [message(PART_S + 1), message(PART_S + 50)]);
    const at = (time: number) => replay.said(time).map((each) => each.at_s);
    expect(at(0.9)).toEqual([]);
    expect(at(1)).toEqual([1]);
    expect(at(PART_S + 2)).toEqual([1, 100, PART_S + 1]);
    expect(at(50)).toEqual([1]);
  });

  it('has no holes: what lies before a part that is not there is not shown', () => {
    const replay = new Replay();
    replay.put(0, [message(1)]);
    replay.put(2, [message(2 * PART_S + 1)]);
    expect(replay.said(2 * PART_S + 5).map((each) => each.at_s)).toEqual([2 * PART_S + 1]);
  });

  it('forgets what a moderator deleted', () => {
    const replay = new Replay();
    replay.put(0, [message(1), message(2)]);
    replay.remove('1');
    expect(replay.said(10).map((each) => each.id)).toEqual(['2']);
  });
});
