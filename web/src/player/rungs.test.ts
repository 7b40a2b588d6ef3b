import { describe, expect, it } from 'vitest';
import { RungCeiling } from './rungs';

/** Feed a lag by time, every 0.1 s; the ceiling at each whole second. `follow`: the level obeys it. */
function run(lagAt: (t: number, level: number) => number, seconds: number, top = 2) {
  const rungs = new RungCeiling();
  const ceilings: number[] = [];
  let level = top;
  for (let step = 0; step < seconds * 10; step += 1) {
    const now = step / 10;
    const ceiling = rungs.update({ now, lag: lagAt(now, level), level, top });
    level = ceiling === -1 ? top : Math.min(top, ceiling);
    if (step % 10 === 0) ceilings.push(ceiling);
  }
  return ceilings;
}

describe('RungCeiling', () => {
  it('leaves a connection alone that keeps up', () => {
    expect(new Set(run(() => 0.3, 60))).toEqual(new Set([-1]));
  });

  it('takes no notice of one late part', () => {
    expect(new Set(run((t) => (t > 10 && t < 10.4 ? 2 : 0.2), 30))).toEqual(new Set([-1]));
  });

  it('steps down as often as it takes, one step at a time', () => {
    const ceilings = run((_, level) => (level > 0 ? 3 : 0.2), 15);
    expect(ceilings.slice(0, 8)).toEqual([-1, 1, 1, 1, 1, 0, 0, 0]);
  });

  it('tries the better quality again after a while, and less often the more it fails', () => {
    const ceilings = run((_, level) => (level > 1 ? 3 : 0.2), 300);
    const tries = ceilings.flatMap((c, t) => (c === -1 && ceilings[t - 1] === 1 ? [t] : []));
    expect(tries.length).toBeGreaterThanOrEqual(2);
    const gaps = tries.slice(1).map((t, n) => t - (tries[n] ?? 0));
    expect(gaps).toEqual([...gaps].sort((a, b) => a - b));
    expect(tries.length).toBeLessThanOrEqual(5);
  });

  it('comes back to the top when the connection recovers', () => {
    const ceilings = run((t, level) => (t < 30 && level > 0 ? 3 : 0.2), 200);
    expect(ceilings.at(-1)).toBe(-1);
  });
});
