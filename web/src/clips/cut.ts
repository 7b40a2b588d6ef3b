/** The arithmetic of cutting a clip or a highlight. Pure; seconds of the video's time, in tenths. */

/** How short and how long a cut may be, s. */
export interface Limits {
  shortest: number;
  longest: number;
}

export const CLIP: Limits = { shortest: 5, longest: 60 };
export const HIGHLIGHT: Limits = { shortest: 1, longest: 86_400 };

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
export function cutAt(start: number, length: number, stretch: Stretch, limits = CLIP): Cut {
  const whole = stretch.end - stretch.start;
  const { shortest, longest } = limits;
  const wanted = Math.min(Math.max(length, Math.min(shortest, whole)), longest, whole);
  const from = within(Math.min(start, stretch.end - wanted), stretch);
  return { start: from, end: within(from + wanted, stretch) };
}

/** Move one end; the other gives way where the cut would be too short or too long. */
export function moved(
  cut: Cut,
  which: 'start' | 'end',
  to: number,
  stretch: Stretch,
  { shortest, longest } = CLIP,
): Cut {
  if (which === 'start') {
    const start = within(Math.min(to, stretch.end - shortest), stretch);
    const end = Math.min(Math.max(cut.end, start + shortest), start + longest);
    return { start, end: within(end, stretch) };
  }
  const end = within(Math.max(to, stretch.start + shortest), stretch);
  const start = Math.max(Math.min(cut.start, end - shortest), end - longest);
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

/** What somebody wrote as a time: "1:02:09.4", "12:30", "90"; null where it is none. */
export function readClock(text: string): number | null {
  const found = /^(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6}(?:[.,]\d*)?)$/.exec(text.trim());
  if (!found) return null;
  const [, h = '0', m = '0', s = '0'] = found;
  return tenths(Number(h) * 3600 + Number(m) * 60 + Number(s.replace(',', '.')));
}
