/** How the overlay looks, from its address: `?size=28&fade=20&boxes=1`. Pure. */
export interface OverlayTheme {
  /** px. */
  size: number;
  font: string;
  text: string;
  background: string;
  align: 'left' | 'right';
  /** Newest at the top instead of the bottom. */
  top: boolean;
  shadow: boolean;
  boxes: boolean;
  badges: boolean;
  /** No motion. */
  still: boolean;
  /** Seconds after which a message leaves; 0 keeps it. */
  fadeS: number;
  /** Logins that are not shown: bots. */
  hide: ReadonlySet<string>;
}

const FONTS: Record<string, string> = {
  sans: 'var(--font)',
  display: 'var(--font-display)',
  mono: 'var(--font-mono)',
  serif: 'Georgia, "Noto Serif", serif',
};

function colorOf(value: string | null, otherwise: string): string {
  // As hexadecimal digits without the sign: "#" would begin the address's fragment.
  return value !== null && /^([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i.test(value)
    ? `#${value}`
    : otherwise;
}

function numberOf(value: string | null, otherwise: number, least: number, most: number): number {
  const number = value === null || value.trim() === '' ? NaN : Number(value);
  return Number.isFinite(number) ? Math.min(most, Math.max(least, number)) : otherwise;
}

export function overlayTheme(search: string): OverlayTheme {
  const query = new URLSearchParams(search);
  const flag = (name: string, otherwise: boolean) => {
    const value = query.get(name);
    return value === null ? otherwise : value !== '0' && value !== 'false';
  };
  return {
    size: numberOf(query.get('size'), 24, 10, 120),
    font: FONTS[query.get('font') ?? ''] ?? 'var(--font)',
    text: colorOf(query.get('color'), '#ffffff'),
    background: colorOf(query.get('background'), 'transparent'),
    align: query.get('align') === 'right' ? 'right' : 'left',
    top: query.get('from') === 'top',
    shadow: flag('shadow', true),
    boxes: flag('boxes', false),
    badges: flag('badges', true),
    still: !flag('motion', true),
    fadeS: numberOf(query.get('fade'), 0, 0, 3600),
    hide: new Set(
      (query.get('hide') ?? '')
        .split(',')
        .map((login) => login.trim().toLowerCase())
        .filter(Boolean),
    ),
  };
}
