/** A message's text as parts to draw: words, emotes, links, mentions. Pure. */
import type { ChatMessage, EmoteAt } from './protocol';

export type Part =
  | { type: 'text'; text: string }
  | { type: 'emote'; id: string; code: string }
  | { type: 'link'; href: string; text: string }
  | { type: 'mention'; login: string; text: string };

// One word at a time, bounded classes only: no text makes this slow.
const LINK = /^(https?:\/\/[^\s<>"']+|www\.[^\s<>"']+\.[^\s<>"']+)$/i;
const MENTION = /^@([a-z0-9][a-z0-9_]{2,24})/i;
const TRAILING = /[.,!?;:)\]}]+$/;

/** An address that a click may open, or null. */
export function linkOf(word: string): { href: string; rest: string } | null {
  if (!LINK.test(word)) return null;
  const rest = TRAILING.exec(word)?.[0] ?? '';
  const address = rest ? word.slice(0, -rest.length) : word;
  try {
    const url = new URL(/^www\./i.test(address) ? `https://${address}` : address);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return null;
    return { href: url.href, rest };
  } catch {
    return null;
  }
}

function plainParts(text: string): Part[] {
  const parts: Part[] = [];
  let plain = '';
  const flush = () => {
    if (plain) parts.push({ type: 'text', text: plain });
    plain = '';
  };
  for (const word of text.split(/(\s+)/)) {
    const link = linkOf(word);
    const mention = MENTION.exec(word);
    if (link) {
      flush();
      parts.push({
        type: 'link',
        href: link.href,
        text: link.rest ? word.slice(0, -link.rest.length) : word,
      });
      plain = link.rest;
    } else if (mention?.[1] !== undefined) {
      flush();
      parts.push({ type: 'mention', login: mention[1].toLowerCase(), text: mention[0] });
      plain = word.slice(mention[0].length);
    } else plain += word;
  }
  flush();
  return parts;
}

/** Emote positions count code points, as everywhere in Footlight; JavaScript counts UTF-16 units. */
export function partsOf(text: string, emotes: readonly EmoteAt[]): Part[] {
  if (emotes.length === 0) return plainParts(text);
  const points = Array.from(text);
  const parts: Part[] = [];
  let at = 0;
  for (const emote of [...emotes].sort((a, b) => a.start - b.start)) {
    if (emote.start < at || emote.end >= points.length) continue;
    parts.push(...plainParts(points.slice(at, emote.start).join('')));
    parts.push({ type: 'emote', id: emote.id, code: emote.code });
    at = emote.end + 1;
  }
  parts.push(...plainParts(points.slice(at).join('')));
  return parts;
}

/** Whether a message speaks to this person: by name, or as a reply to them. */
export function concerns(message: ChatMessage, login: string | null): boolean {
  if (login === null || message.user.login === login) return false;
  if (message.reply_to?.user.login === login) return true;
  if (message.mentions?.includes(login)) return true;
  return partsOf(message.text, message.emotes).some(
    (part) => part.type === 'mention' && part.login === login,
  );
}

/** Length as the server counts it. */
export function lengthOf(text: string): number {
  return Array.from(text).length;
}
