import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { api } from '../api/client';
import { replayOf, type ReplayMessage } from '../api/videos';
import { Button } from '../components/button';
import { cx } from '../lib/cx';
import { formatClock } from '../lib/format';
import { attempt } from './cards';
import css from './chat.module.css';
import { MessageList } from './message-list';
import { Badges, MessageText } from './message-row';
import { nameColor } from './look';
import { readChatPrefs } from './prefs';
import { PART_S, Replay } from './replay';
import type { Line } from './room';

/** A part that failed is asked for again after this, ms. */
const AGAIN_MS = 3000;
/** While the broadcast runs, its last part grows: it is asked for this often, ms. */
const GROWS_MS = 10_000;

export interface ReplayPanelProps {
  /** "videos/7" or "clips/abc". */
  of: string;
  /** Where the playhead is and how long the video, s. */
  at: number;
  end: number;
  grows?: boolean;
  name: string;
  mayModerate?: boolean;
  onHide?: () => void;
  /** What stands beside the title. */
  aside?: ReactNode;
}

async function wholePart(of: string, part: number, signal: AbortSignal): Promise<ReplayMessage[]> {
  const items: ReplayMessage[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof replayOf>> = await replayOf(
      of,
      { from: part * PART_S, to: (part + 1) * PART_S, cursor },
      signal,
    );
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return items;
}

/** Asks for what the playhead needs, once each, and counts what came so that it is drawn. */
function useReplay(of: string, at: number, end: number, grows: boolean) {
  const replay = useMemo(() => new Replay(), [of]); // eslint-disable-line react-hooks/exhaustive-deps
  const [version, setVersion] = useState(0);
  const [failed, setFailed] = useState(false);
  const asked = useRef(new Set<number>());
  const abort = useRef<AbortController | null>(null);

  useEffect(() => {
    const controller = new AbortController();
    abort.current = controller;
    const under = asked.current;
    return () => {
      controller.abort();
      under.clear();
    };
  }, [replay]);

  const ask = useCallback(
    (part: number) => {
      const signal = abort.current?.signal;
      if (!signal || asked.current.has(part)) return;
      asked.current.add(part);
      wholePart(of, part, signal).then(
        (messages) => {
          replay.put(part, messages);
          asked.current.delete(part);
          setFailed(false);
          setVersion((n) => n + 1);
        },
        () => {
          if (signal.aborted) return;
          setFailed(true);
          setTimeout(() => asked.current.delete(part), AGAIN_MS);
        },
      );
    },
    [of, replay],
  );

  const wanted = replay.wanted(at, end).join();
  useEffect(() => {
    if (wanted !== '') wanted.split(',').map(Number).forEach(ask);
  }, [wanted, ask, version, at]);

  const last = Math.floor(at / PART_S);
  useEffect(() => {
    if (!grows) return;
    const timer = setInterval(() => ask(last), GROWS_MS);
    return () => clearInterval(timer);
  }, [grows, last, ask]);

  const redraw = useCallback(() => setVersion((n) => n + 1), []);
  return { replay, version, failed, loading: replay.wanted(at, end).includes(last), redraw };
}

/** A video's chat, as far as it was said where the playhead is. */
export function ReplayPanel({
  of,
  at,
  end,
  grows = false,
  name,
  mayModerate = false,
  onHide,
  aside,
}: ReplayPanelProps) {
  const { replay, failed, loading, redraw } = useReplay(of, at, end, grows);
  const said = replay.said(at);
  const newest = said.at(-1)?.id ?? '';
  const large = readChatPrefs().large;
  const messages = useRef(new Map<string, ReplayMessage>());
  const lines = useMemo<Line[]>(() => {
    messages.current = new Map(said.map((each) => [each.id, each]));
    return said.map((each) => ({ type: 'note', key: each.id, tone: 'info', text: '', at: 0 }));
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the same messages are the same lines
  }, [said.length, newest, said[0]?.id]);

  const remove = useCallback(
    async (message: ReplayMessage) => {
      if (await attempt(api('DELETE', `/${of}/chat/${message.id}`), 'The message is deleted.')) {
        replay.remove(message.id);
        redraw();
      }
    },
    [of, replay, redraw],
  );

  return (
    <section
      className={cx(css.panel, css.replay, css.beside, large && css.large)}
      aria-label={`Chat of ${name}, as it was`}
      data-testid="replay"
    >
      <header className={css.head}>
        <h2>Chat</h2>
        <span className={css.count}>as it was</span>
        {aside}
        <span className={css.gap} />
        {onHide && (
          <Button small look="bare" icon="close" aria-label="Hide the chat" onClick={onHide} />
        )}
      </header>
      <MessageList
        lines={lines}
        arrived={said.length}
        onPause={ignore}
        row={(line) => {
          const message = messages.current.get(line.key);
          return (
            message && (
              <ReplayRow
                message={message}
                onRemove={mayModerate ? () => void remove(message) : null}
              />
            )
          );
        }}
        label={`Chat of ${name}, up to where the video is. Arrow keys walk through the messages.`}
        empty={
          failed ? (
            <>
              <strong>The chat did not load</strong>
              <span>It is tried again; the video goes on.</span>
            </>
          ) : loading ? (
            <span role="status">Loading the chat…</span>
          ) : (
            <>
              <strong>Nothing was said yet</strong>
              <span>Messages appear as they did then.</span>
            </>
          )
        }
      />
    </section>
  );
}

const ignore = () => undefined;

function ReplayRow({
  message,
  onRemove,
}: {
  message: ReplayMessage;
  onRemove: (() => void) | null;
}) {
  const { user, kind, text, emotes = [] } = message;
  return (
    <div
      className={cx(css.message, kind === 'announcement' && css.announcement)}
      data-testid="message"
      data-id={message.id}
      data-at={message.at_s}
    >
      <p className={css.text}>
        <time className={css.at}>{formatClock(message.at_s)} </time>
        <Badges badges={user.badges} />
        <span className={css.name} style={{ color: nameColor(user.color ?? null, user.login) }}>
          {user.name}
        </span>
        {kind === 'action' ? ' ' : <span className={css.colon}>: </span>}
        <span className={cx(kind === 'action' && css.action)}>
          <MessageText message={{ text, emotes }} self={null} />
        </span>
      </p>
      {onRemove && (
        <div className={css.tools}>
          <Button
            small
            look="bare"
            icon="trash"
            aria-label={`Delete this message of ${user.name}`}
            onClick={onRemove}
          />
        </div>
      )}
    </div>
  );
}
