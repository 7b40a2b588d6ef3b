/** Previews of a video: WebVTT that names a rectangle of a sprite for each time. Pure but for `loadStoryboard`. */

export interface Picture {
  /** Seconds of the video's time. */
  start: number;
  end: number;
  url: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

const STAMP = /^(?:(\d+):)?(\d{2}):(\d{2})\.(\d{3})$/;

function secondsOf(stamp: string): number | null {
  const found = STAMP.exec(stamp.trim());
  if (!found) return null;
  const [, h = '0', m = '0', s = '0', ms = '0'] = found;
  return Number(h) * 3600 + Number(m) * 60 + Number(s) + Number(ms) / 1000;
}

/** The pictures that a WebVTT file at `base` names, in order; what it cannot mean is left out. */
export function parseStoryboard(text: string, base: string): Picture[] {
  const pictures: Picture[] = [];
  const lines = text.split(/\r?\n/);
  lines.forEach((line, at) => {
    const [from, to] = line.split('-->');
    if (from === undefined || to === undefined) return;
    const start = secondsOf(from);
    const end = secondsOf(to.trim().split(/\s/)[0] ?? '');
    const target = lines[at + 1]?.trim();
    const place = /^(.*)#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/.exec(target ?? '');
    if (start === null || end === null || !place) return;
    const [, address = '', x, y, width, height] = place;
    pictures.push({
      start,
      end,
      url: new URL(address, base).href,
      x: Number(x),
      y: Number(y),
      width: Number(width),
      height: Number(height),
    });
  });
  return pictures;
}

/** The picture for a time: the last that has begun, so that a short gap still shows one. */
export function pictureAt(pictures: readonly Picture[], at: number): Picture | null {
  let low = 0;
  let high = pictures.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((pictures[middle]?.start ?? Infinity) <= at) low = middle + 1;
    else high = middle;
  }
  return pictures[Math.max(0, low - 1)] ?? null;
}

export async function loadStoryboard(url: string, signal: AbortSignal): Promise<Picture[]> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`storyboard: ${response.status}`);
  return parseStoryboard(await response.text(), new URL(url, location.href).href);
}
