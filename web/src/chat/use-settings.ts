import { useEffect, useRef, useState } from 'react';
import type { Moderation, ModerationSettings } from '../api/moderation';
import { attempt } from './cards';

type Changes = Partial<ModerationSettings>;
type Key = keyof ModerationSettings;

/**
 * Change how a chat is run, one change after the other, so that none is lost and the last answer is the
 * newest. A change of a part of something is a function of the settings that hold when its turn comes.
 */
export function useSettings<T extends Changes>(
  settings: T,
  moderation: Moderation,
  onChanged?: (settings: ModerationSettings) => void,
): {
  busy: (key: Key) => boolean;
  set: (key: Key, changes: Changes | ((now: T) => Changes)) => void;
} {
  const turn = useRef<Promise<unknown>>(Promise.resolve());
  const newest = useRef(settings);
  const [waiting, setWaiting] = useState<readonly Key[]>([]);

  useEffect(() => {
    newest.current = settings;
  }, [settings]);

  async function change(changes: Changes | ((now: T) => Changes)) {
    const wanted = typeof changes === 'function' ? changes(newest.current) : changes;
    await attempt(
      moderation.set(wanted).then((now) => {
        newest.current = { ...newest.current, ...now };
        onChanged?.(now);
      }),
    );
  }

  function set(key: Key, changes: Changes | ((now: T) => Changes)) {
    setWaiting((keys) => [...keys, key]);
    turn.current = turn.current
      .then(() => change(changes))
      .then(() => {
        setWaiting((keys) => keys.filter((_, at) => at !== keys.indexOf(key)));
      });
  }

  return { busy: (key) => waiting.includes(key), set };
}
