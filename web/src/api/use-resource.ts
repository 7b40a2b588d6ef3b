import { useCallback, useEffect, useRef, useState } from 'react';
import { pauseBefore } from '../lib/pause';
import { mayPass } from './client';

/** A failure may pass. */
const PAUSES_MS = [8_000, 60_000] as const;

export interface Resource<T> {
  data: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => void;
  /** Put a value in place without asking the server (it has just told us). */
  put: (data: T) => void;
}

/**
 * Load something for as long as `key` stays the same, again on `reload()` and, while the tab is
 * visible, every `everyMs`. What was loaded stays shown while a reload runs or fails. After a failure that may
 * pass, it is asked for again by itself.
 */
export function useResource<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  { everyMs }: { everyMs?: number } = {},
): Resource<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: unknown }>({ key });
  const [round, setRound] = useState(0);
  const failures = useRef(0);
  const loader = useRef(load);
  useEffect(() => {
    loader.current = load;
  });

  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    loader.current(abort.signal).then(
      (data) => {
        if (abort.signal.aborted) return;
        failures.current = 0;
        setState({ key, data });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setState((old) => ({ key, data: old.key === key ? old.data : undefined, error }));
        if (mayPass(error)) {
          timer = setTimeout(
            () => setRound((n) => n + 1),
            pauseBefore(failures.current++, PAUSES_MS),
          );
        }
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, round]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  const put = useCallback((data: T) => setState({ key, data }), [key]);

  useEffect(() => {
    if (everyMs === undefined) return;
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, everyMs);
    const onVisible = () => {
      if (!document.hidden) reload();
    };
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [everyMs, reload]);

  const current = state.key === key ? state : { data: undefined, error: undefined };
  return {
    data: current.data,
    error: current.error,
    loading: current.data === undefined && current.error === undefined,
    reload,
    put,
  };
}
