/** The emotes that may be used in a channel: its own first. Asked once for each channel and page. */
import { useEffect, useState } from 'react';
import { channelEmotes, globalEmotes, type Emote } from '../api/moderation';

export interface EmoteSets {
  channel: readonly Emote[];
  global: readonly Emote[];
  all: readonly Emote[];
}

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
    const asked = cache.get(channel) ?? load(channel);
    cache.set(channel, asked);
    asked.then(
      (found) => {
        if (here) setSets(found);
      },
      () => cache.delete(channel),
    );
    return () => {
      here = false;
    };
  }, [channel]);
  return sets;
}
