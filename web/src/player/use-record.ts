import { useEffect, useState } from 'react';
import { videos, type VideoDetail } from '../api/videos';
import type { LiveState } from '../api/types';

/** A broadcast is recorded a few seconds after it began; until then it is asked for this often, ms. */
const AGAIN_MS = 5_000;
/** An instance may record nothing: after so long it is asked for rarely. */
const OFTEN = 6;
const RARELY_MS = 60_000;
/** Its chapters and previews grow. */
const GROWS_MS = 30_000;

export interface Recorded {
  url: string;
  video: VideoDetail;
}

/** The video that a multivariant playlist names: its renditions are `/vod/<id>/<rendition>.m3u8`. */
export function videoIn(playlist: string): string | null {
  return /^(?!#).*\/vod\/(\d+)\//m.exec(playlist)?.[1] ?? null;
}

async function find(login: string, signal: AbortSignal): Promise<Recorded | null> {
  const url = `/live/${login}/dvr.m3u8`;
  const response = await fetch(url, { signal });
  if (!response.ok) return null;
  const id = videoIn(await response.text());
  return id === null ? null : { url, video: await videos.get(id, signal) };
}

/** The record of the broadcast that runs on a channel, once there is one. */
export function useRecord(live: LiveState | null): Recorded | null {
  const [record, setRecord] = useState<{ session: string; found: Recorded } | null>(null);
  const session = live !== null && live.state !== 'offline' ? live.session : null;
  const login = live?.login ?? null;
  useEffect(() => {
    if (session === null || login === null) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    let asked = 0;
    const ask = async () => {
      asked += 1;
      let wait = asked > OFTEN ? RARELY_MS : AGAIN_MS;
      try {
        const found = await find(login, abort.signal);
        if (abort.signal.aborted) return;
        if (found) {
          setRecord({ session, found });
          wait = GROWS_MS;
        }
      } catch {
        // Not reachable, or a private one: the line stays away.
      }
      if (!abort.signal.aborted) timer = setTimeout(() => void ask(), wait);
    };
    // The first frame goes first.
    timer = setTimeout(() => void ask(), 1500);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [session, login]);
  return record !== null && record.session === session ? record.found : null;
}
