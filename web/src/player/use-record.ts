import { useEffect, useState } from 'react';
import { videos, type VideoDetail } from '../api/videos';
import { api } from '../api/client';
import type { Channel, LiveState } from '../api/types';

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

async function find(login: string, signal: AbortSignal): Promise<Recorded | null> {
  const { stream } = await api<Channel>('GET', `/channels/${login}`, { signal });
  const id = stream?.video_id ?? null;
  if (id === null) return null;
  return { url: `/live/${login}/dvr.m3u8`, video: await videos.get(id, signal) };
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
        // Not reachable just now: the line comes later.
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
