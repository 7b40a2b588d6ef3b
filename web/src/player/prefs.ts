/** What a viewer's player remembers in this browser. Every read and write survives storage being forbidden. */
interface Prefs {
  volume: number;
  muted: boolean;
  theatre: boolean;
  /** Last measured bandwidth, bits/s: the first quality choice of the next stream. */
  bandwidth: number;
}

const KEY = 'footlight.player';
/** A home line of today: enough for 1080p. Measured values replace it from the first stream on. */
const DEFAULTS: Prefs = { volume: 1, muted: false, theatre: false, bandwidth: 8_000_000 };

export function readPrefs(): Prefs {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>) };
  } catch {
    return DEFAULTS;
  }
}

export function writePrefs(change: Partial<Prefs>) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...readPrefs(), ...change }));
  } catch {
    // Nothing is remembered then; nothing else depends on it.
  }
}
