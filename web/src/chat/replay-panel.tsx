import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
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
import { PART_S } from './replay';
import { ReplayFeed, type LoadPart } from './replay-feed';
import type { Line } from './room';

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
}

/** Asks for a part of the chat of "videos/7", page by page. */
function loaderOf(of: string): LoadPart {
  return async (part, signal) => {
    const items: ReplayMessage[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof replayOf>> = await replayOf(
        of,
        { ...part, cursor },
        signal,
      );
      items.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null);
    return items;
  };
}

/** The chat beside the playhead; this is drawn again with whatever there is to show. */
function useReplay(of: string, at: number, end: number, grows: boolean): ReplayFeed | null {
  const [feed, setFeed] = useState<ReplayFeed | null>(null);
  useEffect(() => {
    const made = new ReplayFeed(loaderOf(of));
    setFeed(made);
    return () => made.close();
  }, [of]);
  useSyncExternalStore(feed?.subscribe ?? never, feed?.snapshot ?? zero);
  useEffect(() => feed?.moved(at, end), [feed, at, end]);
  useEffect(() => {
    if (!grows || feed === null) return;
    const timer = setInterval(() => feed.grown(), GROWS_MS);
    return () => clearInterval(timer);
  }, [grows, feed]);
  return feed;
}

const never = () => () => undefined;
const zero = () => 0;
const NONE: readonly ReplayMessage[] = [];

/** A video's chat, as far as it was said where the playhead is. */
export function ReplayPanel({
  of,
  at,
  end,
  grows = false,
  name,
  mayModerate = false,
  onHide,
}: ReplayPanelProps) {
  const feed = useReplay(of, at, end, grows);
  const said = feed?.replay.said(at) ?? NONE;
  const loading = !feed || feed.replay.wanted(at, end).includes(Math.floor(at / PART_S));
  const newest = said.at(-1)?.id ?? '';
  const large = readChatPrefs().large;
  const messages = useRef(new Map<string, ReplayMessage>());
  const lines = useMemo<Line[]>(() => {
    messages.current = new Map(said.map((each) => [each.id, each]));
    return said.map((each) => ({ type: 'note', key: each.id, tone: 'info', text: '', at: 0 }));
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- the same messages are the same lines
  }, [said.length, newest, said[0]?.id]);

  const remove = useCallback(
    async (message: ReplayMessage) => {
      if (await attempt(api('DELETE', `/${of}/chat/${message.id}`), 'The message is deleted.')) {
        feed?.remove(message.id);
      }
    },
    [of, feed],
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
          feed?.failed ? (
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
