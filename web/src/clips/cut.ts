/** The arithmetic of cutting a clip. Pure; seconds of the video's time, in tenths. */

export const SHORTEST_S = 5;
export const LONGEST_S = 60;

export interface Cut {
  start: number;
  end: number;
}

/** What may be cut from: a stretch of the video. */
export type Stretch = Cut;

const tenths = (at: number) => Math.round(at * 10) / 10;
/** Into a stretch, on a tenth that is inside it. */
function within(at: number, { start, end }: Stretch): number {
  const low = Math.ceil(start * 10 - 1e-6) / 10;
  const high = Math.floor(end * 10 + 1e-6) / 10;
  return Math.min(high, Math.max(low, tenths(at)));
}

/** A cut of `length` that begins at `start`, moved so that it fits. */
export function cutAt(start: number, length: number, stretch: Stretch): Cut {
  const whole = stretch.end - stretch.start;
  const wanted = Math.min(Math.max(length, Math.min(SHORTEST_S, whole)), LONGEST_S, whole);
  const from = within(Math.min(start, stretch.end - wanted), stretch);
  return { start: from, end: within(from + wanted, stretch) };
}

/** Move one end; the other gives way where the cut would be too short or too long. */
export function moved(cut: Cut, which: 'start' | 'end', to: number, stretch: Stretch): Cut {
  if (which === 'start') {
    const start = within(Math.min(to, stretch.end - SHORTEST_S), stretch);
    const end = Math.min(Math.max(cut.end, start + SHORTEST_S), start + LONGEST_S);
    return { start, end: within(end, stretch) };
  }
  const end = within(Math.max(to, stretch.start + SHORTEST_S), stretch);
  const start = Math.max(Math.min(cut.start, end - SHORTEST_S), end - LONGEST_S);
  return { start: within(start, stretch), end };
}

/** Seconds as a clock with tenths: "1:02:09.4". */
export function formatTenths(at: number): string {
  const all = Math.max(0, Math.round(at * 10));
  const [h, m] = [Math.floor(all / 36_000), Math.floor(all / 600) % 60];
  const s = (all % 600) / 10;
  const seconds = s.toFixed(1).padStart(4, '0');
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${seconds}` : `${m}:${seconds}`;
}
