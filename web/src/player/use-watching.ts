import { useEffect, useRef } from 'react';
import { hasLogin } from '../api/client';
import { videos } from '../api/videos';
import type { VideoPlayer } from './video-player';

/** The place is told to the server this often while playing, ms. */
const TELL_MS = 10_000;
/** So near to its end a video has been watched, s; the next time begins anew. */
const WATCHED_S = 15;
const KEY = 'footlight.watched';
/** Visitors' places in this browser: no more than these. */
const MOST = 50;

type Places = Record<string, number>;

function places(): Places {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Places;
  } catch {
    return {};
  }
}

/** Where a visitor left a video, s. */
export function placeOf(id: string): number {
  return places()[id] ?? 0;
}

function remember(id: string, at: number) {
  try {
    const kept = Object.entries(places())
      .filter(([other]) => other !== id)
      .slice(1 - MOST);
    localStorage.setItem(KEY, JSON.stringify({ ...Object.fromEntries(kept), [id]: at }));
  } catch {
    // Nothing is remembered then.
  }
}

/** Says that the video is watched, once, and how far: at the server for who is logged in, else here. */
export function useWatching(id: string, engine: VideoPlayer | null) {
  const counted = useRef<string | null>(null);
  useEffect(() => {
    if (engine === null) return;
    let told = -1;
    const { screen } = engine;
    const tell = () => {
      const { timeline, started, ended } = screen.state;
      if (!started || timeline === null) return;
      const watched = ended || timeline.at > timeline.end - WATCHED_S;
      const at = watched ? 0 : Math.floor(timeline.at);
      if (at === told) return;
      told = at;
      remember(id, at);
      if (hasLogin()) videos.watchedTo(id, at).catch(() => undefined);
    };
    const unsubscribe = screen.subscribe(() => {
      if (!screen.state.started || counted.current === id) return;
      counted.current = id;
      videos.view(id).catch(() => undefined);
    });
    const timer = setInterval(() => {
      if (!screen.video.paused) tell();
    }, TELL_MS);
    const leaving = () => {
      if (document.hidden) tell();
    };
    screen.video.addEventListener('pause', tell);
    document.addEventListener('visibilitychange', leaving);
    return () => {
      tell();
      unsubscribe();
      clearInterval(timer);
      screen.video.removeEventListener('pause', tell);
      document.removeEventListener('visibilitychange', leaving);
    };
  }, [id, engine]);
}
