import { useEffect, useState } from 'react';
import { follow, type LiveView } from './live-state';

/** The channel's live state, kept up to date; null before the first answer. */
export function useLiveState(login: string): LiveView | null {
  const [view, setView] = useState<LiveView | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    void follow(login, abort.signal, setView);
    return () => {
      abort.abort();
      setView(null);
    };
  }, [login]);
  return view;
}
