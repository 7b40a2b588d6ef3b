const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** One or two letters that stand for a name: the first of its first and of its last word. */
export function initials(name: string): string {
  const words = name
    .trim()
    .split(/[\s_\-.]+/u)
    .filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined];
  return (
    letters
      .map((word) => {
        const first = word === undefined ? undefined : graphemes.segment(word).containing(0);
        return first?.segment ?? '';
      })
      .join('')
      .toUpperCase() || '?'
  );
}

/** A hue (0–359) that is always the same for a name, so that people are told apart at a glance. */
export function hueOf(name: string): number {
  let hash = 7;
  for (const char of name) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 3600;
  return hash % 360;
}
