/** A list of which only what can be seen is in the page. Pure: heights are measured elsewhere. */

export interface Window {
  /** First and one past the last line to draw. */
  start: number;
  end: number;
  /** Height of what is left out, px. */
  before: number;
  after: number;
}

/** What a line is taken for until it was measured, px: one line of text. */
export const GUESS_PX = 30;

export class Heights {
  private readonly known = new Map<string, number>();

  /** Whether this is news. */
  set(key: string, height: number): boolean {
    if (this.known.get(key) === height) return false;
    this.known.set(key, height);
    return true;
  }

  of(key: string): number {
    return this.known.get(key) ?? GUESS_PX;
  }

  /** Forget lines that have left; called now and then. */
  keep(keys: readonly string[]) {
    if (this.known.size < keys.length * 2 + 200) return;
    const wanted = new Set(keys);
    for (const key of this.known.keys()) if (!wanted.has(key)) this.known.delete(key);
  }

  /** A narrower or wider list breaks its lines elsewhere. */
  clear() {
    this.known.clear();
  }

  total(keys: readonly string[]): number {
    return keys.reduce((sum, key) => sum + this.of(key), 0);
  }

  /** Where a line begins. -1 if it is not there. */
  topOf(keys: readonly string[], key: string): number {
    let top = 0;
    for (const each of keys) {
      if (each === key) return top;
      top += this.of(each);
    }
    return -1;
  }

  /** The lines that a view of `height` at `top` shows, and `margin` px more on both sides. */
  windowOf(keys: readonly string[], top: number, height: number, margin: number): Window {
    const from = top - margin;
    const to = top + height + margin;
    let y = 0;
    let start = 0;
    while (start < keys.length && y + this.of(keys[start] ?? '') <= from) {
      y += this.of(keys[start] ?? '');
      start += 1;
    }
    const before = y;
    let end = start;
    while (end < keys.length && y < to) {
      y += this.of(keys[end] ?? '');
      end += 1;
    }
    return { start, end, before, after: this.total(keys) - y };
  }

  /** The last lines that fill `height` and a `margin`: where a reader stands who follows the newest. */
  windowAtEnd(keys: readonly string[], height: number, margin: number): Window {
    let filled = 0;
    let start = keys.length;
    while (start > 0 && filled < height + margin) {
      start -= 1;
      filled += this.of(keys[start] ?? '');
    }
    const before = this.total(keys.slice(0, start));
    return { start, end: keys.length, before, after: 0 };
  }

  /** The first line that can be seen at `top`, and how far it is scrolled out: what a reader holds on to. */
  anchorAt(keys: readonly string[], top: number): { key: string; into: number } | null {
    let y = 0;
    for (const key of keys) {
      const height = this.of(key);
      if (y + height > top) return { key, into: top - y };
      y += height;
    }
    return null;
  }
}
