import { describe, expect, it } from 'vitest';
import { LatencyControl } from './latency';

const PART = 0.2;

interface World {
  /** Delivery time of part n after its end, s. */
  delay: (part: number) => number;
  /** Where playback starts behind the edge, s. */
  startBehind: number;
  seconds: number;
  /** Parts of the stream per second of ours, ≠ 1 when the streamer's clock drifts. */
  speed?: number;
  /** Distance of keyframes, s; the player is told of none without it. */
  gop?: number;
}

/** Play a simulated stream; 20 ms steps. Gives what a viewer would notice. */
function watch({ delay, startBehind, seconds, speed = 1, gop }: World) {
  const control = new LatencyControl({ partTarget: PART, holdBack: 0.6 });
  const step = 0.02;
  const t0 = 100;
  let bufferEnd = t0;
  let position = t0 - startBehind;
  let landed = 0;
  let rate = 1;
  let stalledNow = false;
  let stalls = 0;
  let seeks = 0;
  const history: { t: number; latency: number; target: number; rate: number }[] = [];
  for (let t = 0; t < seconds; t += step) {
    const now = 5000 + t;
    // Part n covers media [n, n+1) × PART after t0 and is announced when it is complete.
    for (;;) {
      const end = (landed + 1) * PART;
      if (end / speed + delay(landed) > t) break;
      landed += 1;
      bufferEnd = t0 + end;
      if (gop !== undefined) {
        control.keyframeAt(t0 - startBehind + Math.floor((end - 0.01 + startBehind) / gop) * gop);
      }
      control.edgeAt(now, bufferEnd);
      control.landed(now, bufferEnd);
    }
    if (stalledNow) {
      if (bufferEnd - position > 0.1) stalledNow = false;
    } else {
      position += step * rate;
      if (position >= bufferEnd) {
        position = bufferEnd;
        stalledNow = true;
        stalls += 1;
        control.stalled(now);
      }
    }
    const out = control.tick({ now, position, steer: !stalledNow });
    rate = out.rate;
    if (out.seekTo !== null) {
      seeks += 1;
      position = Math.min(out.seekTo, bufferEnd - 0.01);
    }
    history.push({ t, latency: out.latency ?? NaN, target: out.target, rate });
  }
  return { history, stalls, seeks, control };
}

const at = (history: { t: number }[], t: number) => history.findIndex((h) => h.t >= t);

describe('LatencyControl', () => {
  it('reaches its target within 20 s of opening and holds it without a stall', () => {
    const { history, stalls, seeks } = watch({
      delay: () => 0.01,
      startBehind: 1.2,
      seconds: 60,
    });
    expect(stalls).toBe(0);
    expect(seeks).toBe(0);
    const later = history.slice(at(history, 20));
    for (const { latency, target } of later) {
      expect(Math.abs(latency - target)).toBeLessThan(0.1);
    }
    // On a fast network it ends closer than PART-HOLD-BACK.
    expect(history.at(-1)?.latency).toBeLessThan(0.5);
  });

  it('stays within rates that are not heard, in small steps', () => {
    const { history } = watch({ delay: () => 0.02, startBehind: 0.9, seconds: 40 });
    let last = 1;
    for (const { rate } of history) {
      expect(rate).toBeGreaterThanOrEqual(0.96);
      expect(rate).toBeLessThanOrEqual(1.06);
      expect(Math.abs(rate - last)).toBeLessThanOrEqual(0.0201);
      last = rate;
    }
  });

  it('leaves the rate alone once it has arrived', () => {
    const { history } = watch({ delay: () => 0.01, startBehind: 0.7, seconds: 60 });
    const settled = history.slice(at(history, 45));
    const moving = settled.filter(({ rate }) => rate !== 1).length;
    expect(moving / settled.length).toBeLessThan(0.1);
  });

  it('keeps away from a jittery network', () => {
    // Up to 300 ms late, in no order that a player could know.
    const jitter = (part: number) => 0.3 * Math.abs(Math.sin(part * 12.9898));
    const { stalls, history } = watch({ delay: jitter, startBehind: 0.8, seconds: 120 });
    expect(stalls).toBeLessThanOrEqual(1);
    expect(history.at(-1)?.latency).toBeGreaterThan(0.55);
    expect(history.at(-1)?.latency).toBeLessThan(1);
  });

  it('backs off after a stall and comes closer again when all is calm', () => {
    // Two parts that came 1.2 s late in second 30.
    const hiccup = (part: number) => (part >= 150 && part < 152 ? 1.2 : 0.01);
    const { stalls, history } = watch({ delay: hiccup, startBehind: 0.6, seconds: 150 });
    expect(stalls).toBe(1);
    const before = history[at(history, 29)]?.target ?? 0;
    const after = history[at(history, 33)]?.target ?? 0;
    const end = history.at(-1)?.target ?? 0;
    expect(after).toBeGreaterThan(before + 0.1);
    expect(end).toBeLessThan(before + 0.05);
  });

  it('opens at a keyframe, and from far behind jumps once to a later one', () => {
    for (const [gop, startBehind, jumps] of [
      [1, 1, 0],
      [2, 0.5, 0],
      [2, 1.9, 1],
      [8, 7.5, 1],
    ] as const) {
      const { history, stalls, seeks } = watch({
        delay: () => 0.02,
        startBehind,
        gop,
        seconds: 40,
      });
      expect([gop, startBehind, seeks, stalls]).toEqual([gop, startBehind, jumps, 0]);
      for (const { latency, target } of history.slice(at(history, 20))) {
        expect(Math.abs(latency - target)).toBeLessThan(0.1);
      }
    }
  });

  it('does not take what had to be fetched first for a slow network', () => {
    // Opened 8 s behind: a part every 90 ms until the edge is reached, then as they come.
    const control = new LatencyControl({ partTarget: PART, holdBack: 0.6 });
    let end = 100;
    let edge = 108;
    for (let t = 0; t < 20; t += 0.09) {
      if (108 + t - edge >= PART) control.edgeAt(t, (edge += PART));
      if (end < edge - 0.01) control.landed(t, (end += PART));
      control.tick({ now: t, position: end - 0.5, steer: true });
    }
    expect(end).toBeGreaterThan(edge - PART);
    const { target } = control.tick({ now: 20, position: end - 0.5, steer: true });
    expect(target).toBeLessThan(0.8);
  });

  it('does not wait for a keyframe from very far behind', () => {
    expect(watch({ delay: () => 0.01, startBehind: 20, seconds: 5 }).seeks).toBe(1);
  });

  it('jumps in the middle of playing only when it is more than 3 s behind', () => {
    // Nothing comes for a while in second 30, then all of it at once.
    const outage = (parts: number) => (part: number) =>
      part >= 150 && part < 150 + parts ? (150 + parts - part) * PART + 0.01 : 0.01;
    const world = { startBehind: 0.6, seconds: 60, gop: 1 };
    expect(watch({ ...world, delay: outage(10) }).seeks).toBe(0);
    expect(watch({ ...world, delay: outage(30) }).seeks).toBe(1);
  });

  it('follows a streamer whose clock runs fast or slow', () => {
    for (const speed of [0.999, 1.001]) {
      const { stalls, history } = watch({
        delay: () => 0.01,
        startBehind: 0.6,
        seconds: 180,
        speed,
      });
      expect(stalls).toBe(0);
      expect(history.at(-1)?.latency).toBeLessThan(0.6);
    }
  });

  it('neither waits nor hurries after the source itself has slipped by seconds', () => {
    // The encoder stands still for 3 s at second 30 and then goes on in real time, without catching up.
    const slip = (part: number) => (part >= 150 ? 3.01 : 0.01);
    const { stalls, history } = watch({ delay: slip, startBehind: 0.6, seconds: 120 });
    expect(stalls).toBe(1);
    const settled = history.slice(at(history, 80));
    for (const { latency, target, rate } of settled) {
      expect(Math.abs(latency - target)).toBeLessThan(0.15);
      expect(rate).toBeGreaterThanOrEqual(0.99);
    }
    expect(history.at(-1)?.latency).toBeLessThan(0.8);
  });

  it('catches up after an outage in which everything arrived late', () => {
    // Nothing for 4 s, then all of it at once.
    const outage = (part: number) =>
      part >= 150 && part < 170 ? (170 - part) * PART + 0.01 : 0.01;
    const { stalls, history } = watch({ delay: outage, startBehind: 0.6, seconds: 150 });
    expect(stalls).toBeLessThanOrEqual(1);
    expect(history.at(-1)?.latency).toBeLessThan(0.8);
  });

  it('does not touch the rate while the viewer has paused or stays behind', () => {
    const control = new LatencyControl({ partTarget: PART, holdBack: 0.6 });
    control.edgeAt(0, 100);
    const out = control.tick({ now: 0, position: 80, steer: false });
    expect(out).toMatchObject({ latency: 20, rate: 1, seekTo: null });
    expect(out.target).toBeCloseTo(0.6);
  });

  it('aims at PART-HOLD-BACK before it has measured anything', () => {
    const control = new LatencyControl({ partTarget: PART, holdBack: 0.6 });
    expect(control.tick({ now: 0, position: 0, steer: true })).toEqual({
      latency: null,
      target: 0.6,
      rate: 1,
      seekTo: null,
    });
  });

  it('takes no lesson from a jump of the timeline', () => {
    const control = new LatencyControl({ partTarget: PART, holdBack: 0.6 });
    for (let n = 1; n <= 20; n += 1) {
      control.edgeAt(n * PART, n * PART);
      control.landed(n * PART, n * PART);
    }
    control.landed(4.05, 60);
    control.landed(4.1, 3);
    const { target } = control.tick({ now: 4.1, position: 3.5, steer: true });
    expect(target).toBeLessThanOrEqual(0.6);
  });
});
