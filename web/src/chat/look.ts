/** How people look in a chat: the colour of a name and what a badge stands for. Pure. */
import type { IconName } from '../components/icon';
import { hueOf } from '../lib/names';

/** Names keep this luminance at least, so that they can be read (4.5:1) on every surface of the chat. */
const LUMINANCE = 0.3;
const LIGHTEST = 88;

/** A colour for a name: the one somebody chose, made light enough to read; else one from their login. */
export function nameColor(color: string | null | undefined, login: string): string {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(color ?? '');
  const { hue, saturation, light } = match
    ? toHsl(match.slice(1).map((part) => parseInt(part, 16) / 255) as Rgb)
    : { hue: hueOf(login), saturation: 70, light: 60 };
  let shown = Math.min(light, LIGHTEST);
  while (shown < LIGHTEST && luminance(hue, saturation, shown) < LUMINANCE) shown += 1;
  return `hsl(${Math.round(hue)} ${Math.round(saturation)}% ${Math.round(shown)}%)`;
}

type Rgb = [number, number, number];

function toHsl([r, g, b]: Rgb): { hue: number; saturation: number; light: number } {
  const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)];
  const spread = most - least;
  const light = (most + least) / 2;
  if (spread === 0) return { hue: 0, saturation: 0, light: light * 100 };
  const saturation = spread / (1 - Math.abs(2 * light - 1));
  let hue = (r - g) / spread + 4;
  if (most === r) hue = ((g - b) / spread + 6) % 6;
  else if (most === g) hue = (b - r) / spread + 2;
  return { hue: hue * 60, saturation: saturation * 100, light: light * 100 };
}

/** Relative luminance after WCAG 2.2, 0 to 1. */
export function luminance(hue: number, saturation: number, light: number): number {
  const [s, l] = [saturation / 100, light / 100];
  const channel = (n: number) => {
    const k = (n + hue / 30) % 12;
    const value = l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(0) + 0.7152 * channel(8) + 0.0722 * channel(4);
}

export interface Badge {
  icon: IconName;
  name: string;
  tone: 'broadcaster' | 'moderator' | 'vip' | 'staff' | 'subscriber' | 'bot';
}

const BADGES: Record<string, Badge> = {
  broadcaster: { icon: 'broadcast', name: 'Broadcaster', tone: 'broadcaster' },
  moderator: { icon: 'shield', name: 'Moderator', tone: 'moderator' },
  vip: { icon: 'diamond', name: 'VIP', tone: 'vip' },
  staff: { icon: 'live', name: 'Footlight staff', tone: 'staff' },
  admin: { icon: 'live', name: 'Footlight staff', tone: 'staff' },
  subscriber: { icon: 'star', name: 'Subscriber', tone: 'subscriber' },
  founder: { icon: 'star', name: 'Founder', tone: 'subscriber' },
  bot: { icon: 'settings', name: 'Bot', tone: 'bot' },
};

/** `moderator/1` → what is drawn; badges that this page does not know are left out. */
export function badgesOf(badges: readonly string[] | undefined): Badge[] {
  return (badges ?? [])
    .map((badge) => BADGES[badge.split('/')[0] ?? ''])
    .filter((badge) => badge !== undefined);
}
