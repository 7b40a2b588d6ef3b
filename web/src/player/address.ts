/** Where a video is played from, and where in it one begins. */

export interface Address {
  url: string;
  /** Until when it answers, ms since 1970; null: for ever. */
  expiresAt: number | null;
}

export function addressOf({
  playback_url,
  urls_expire_at = null,
}: {
  playback_url: string | null;
  urls_expire_at?: string | null;
}): Address {
  return {
    url: playback_url ?? '',
    expiresAt: urls_expire_at === null ? null : Date.parse(urls_expire_at),
  };
}

/** The place that a page's address names: `?t=90` or `?t=1h2m3s`. */
export function startOf(search: string): number | null {
  const text = new URLSearchParams(search).get('t');
  const found = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?$/.exec(text ?? '');
  if (!text || !found) return null;
  const [, h = '0', m = '0', s = '0'] = found;
  return Number(h) * 3600 + Number(m) * 60 + Number(s);
}
