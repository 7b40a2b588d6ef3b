/** The emotes that may be used in a channel: its own first. Asked once for each channel and page. */
import { useEffect, useState } from 'react';
import { channelEmotes, globalEmotes, type Emote } from '../api/moderation';

export interface EmoteSets {
  channel: readonly Emote[];
  global: readonly Emote[];
  all: readonly Emote[];
}

/** After a failure, and while a new site has none of its own yet, they are asked for again, ms. */
const RETRY_MS = 10_000;

const NONE: EmoteSets = { channel: [], global: [], all: [] };
const cache = new Map<string, Promise<EmoteSets>>();

async function load(channel: string): Promise<EmoteSets> {
  const [own, global] = await Promise.all([channelEmotes(channel), globalEmotes()]);
  return { channel: own.items, global: global.items, all: [...own.items, ...global.items] };
}

/** After the broadcaster changed them. */
export function forgetEmotes(channel: string) {
  cache.delete(channel);
}

export function useEmotes(channel: string): EmoteSets {
  const [sets, setSets] = useState(NONE);
  useEffect(() => {
    let here = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    function ask() {
      const asked = cache.get(channel) ?? load(channel);
      cache.set(channel, asked);
      const again = () => {
        cache.delete(channel);
        if (here) timer = setTimeout(ask, RETRY_MS);
      };
      asked.then((found) => {
        if (here) setSets(found);
        if (found.global.length === 0) again();
      }, again);
    }
    ask();
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, [channel]);
  return sets;
}
