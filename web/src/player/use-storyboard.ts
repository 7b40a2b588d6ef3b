import { useCallback, useEffect, useRef, useState } from 'react';
import { loadStoryboard, pictureAt, type Picture } from './storyboard';

/** A storyboard that still grows is asked for again no sooner than this, ms. */
const AGAIN_MS = 20_000;

/** A video's previews, loaded when somebody first reaches for the line. */
export function useStoryboard(
  url: string | null,
  grows = false,
): { at: (time: number) => Picture | null; reach: () => void; pictures: readonly Picture[] } {
  const [pictures, setPictures] = useState<readonly Picture[]>([]);
  const asked = useRef<{ url: string; at: number } | null>(null);
  const abort = useRef<AbortController | null>(null);

  useEffect(() => {
    setPictures([]);
    asked.current = null;
    return () => abort.current?.abort();
  }, [url]);

  const reach = useCallback(() => {
    if (url === null) return;
    const before = asked.current;
    if (before?.url === url && (!grows || Date.now() - before.at < AGAIN_MS)) return;
    asked.current = { url, at: Date.now() };
    abort.current?.abort();
    abort.current = new AbortController();
    loadStoryboard(url, abort.current.signal).then(setPictures, () => {
      // Without a preview the line works as well; the next reach asks again.
      asked.current = null;
    });
  }, [url, grows]);

  const at = useCallback((time: number) => pictureAt(pictures, time), [pictures]);
  return { at, reach, pictures };
}
