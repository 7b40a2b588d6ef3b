import { useEffect, useState, useSyncExternalStore } from 'react';
import { useSession } from '../api/session';
import { ChatConnection, type ChatSnapshot } from './connection';
import { EMPTY } from './room';

const NOTHING: ChatSnapshot = {
  room: EMPTY,
  link: { status: 'connecting' },
  self: null,
  clockOffsetMs: 0,
  messageLength: 500,
};

export interface Chat extends ChatSnapshot {
  connection: ChatConnection | null;
}

/** A channel's chat for as long as the page shows it. */
export function useChat(channel: string): Chat {
  const [connection, setConnection] = useState<ChatConnection | null>(null);
  const session = useSession();
  const known = session.status !== 'unknown';
  const who = session.user?.id ?? null;
  useEffect(() => {
    // Who is asked first, so that a login does not cost a second connection.
    if (!known) return;
    const made = new ChatConnection(channel);
    setConnection(made);
    return () => {
      made.close();
      setConnection(null);
    };
  }, [channel, known, who]);
  const snapshot = useSyncExternalStore(
    connection?.subscribe ?? (() => () => undefined),
    connection?.snapshot ?? (() => NOTHING),
  );
  return { ...snapshot, connection };
}
