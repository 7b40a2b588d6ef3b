import {
  type KeyboardEvent,
  useCallback,
  useEffect,
  useEffectEvent,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { Button } from '../components/button';
import { Icon } from '../components/icon';
import { useNow } from '../components/time';
import { cx } from '../lib/cx';
import { formatClock } from '../lib/format';
import css from './chat.module.css';
import { apply, complete, isWhole, type Suggestion } from './complete';
import type { ChatConnection } from './connection';
import { EmotePicker } from './emote-picker';
import { EmoteImage } from './message-row';
import { lengthOf } from './parts';
import type { ChatMessage } from './protocol';
import type { RoomState } from './room';
import type { EmoteSets } from './use-emotes';

/** From here on the characters that are left are shown. */
const SHOW_LEFT = 100;

/** Whole seconds until `at` (server's clock); 0 when it is over. Ticks while it runs. */
function useCountdown(at: number, offsetMs: number): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const measure = () => Math.max(0, Math.ceil((at - Date.now() - offsetMs) / 1000));
    setLeft(measure());
    if (measure() === 0) return;
    const timer = setInterval(() => {
      setLeft(measure());
      if (measure() === 0) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [at, offsetMs]);
  return left;
}

export interface ComposerProps {
  connection: ChatConnection;
  room: RoomState;
  clockOffsetMs: number;
  messageLength: number;
  emotes: EmoteSets;
  channelName: string;
  connected: boolean;
  replyTo: ChatMessage | null;
  onReplyDone: () => void;
  /** Puts a word into the text from outside: a name that was clicked. */
  inserted: { text: string } | null;
}

/** What one writes: completion, emotes, what must be waited for, and what was refused with its text. */
export function Composer({
  connection,
  room,
  clockOffsetMs,
  messageLength,
  emotes,
  channelName,
  connected,
  replyTo,
  onReplyDone,
  inserted,
}: ComposerProps) {
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState('');
  const [caret, setCaret] = useState(0);
  const [picked, setPicked] = useState(0);
  const [dismissed, setDismissed] = useState<string | null>(null);
  const [picker, setPicker] = useState(false);
  // Sent before the chat was there: it goes as soon as it is.
  const [held, setHeld] = useState(false);
  const wait = useCountdown(room.mayTalkAt, clockOffsetMs);
  const { refused } = room;

  const completion =
    dismissed === text
      ? null
      : complete(text, caret, { talkers: room.talkers, emotes: emotes.all, role: room.me.role });
  const items = completion?.items ?? [];
  const at = Math.min(picked, Math.max(0, items.length - 1));

  // Before the next key arrives, or what is typed fast would go to the old place.
  const wantedCaret = useRef<number | null>(null);
  const place = useCallback((next: string, position: number) => {
    wantedCaret.current = position;
    setText(next);
    setCaret(position);
  }, []);
  useLayoutEffect(() => {
    const [position, box] = [wantedCaret.current, field.current];
    wantedCaret.current = null;
    if (position === null || !box) return;
    box.focus();
    box.setSelectionRange(position, position);
  }, [text, caret]);

  // What was refused stands in the field again, unless something new is already there.
  useEffect(() => {
    if (refused) setText((now) => (now === '' ? refused.text : now));
  }, [refused]);
  useEffect(() => {
    if (replyTo) field.current?.focus();
  }, [replyTo]);
  useEffect(() => {
    if (inserted) setText((now) => (now && !now.endsWith(' ') ? `${now} ` : now) + inserted.text);
    if (inserted) field.current?.focus();
  }, [inserted]);
  useLayoutEffect(() => {
    const box = field.current;
    if (!box) return;
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight + 2}px`;
  }, [text]);

  function take(suggestion: Suggestion) {
    if (!completion) return;
    const { text: next, caret: position } = apply(text, completion, suggestion.insert);
    setDismissed(suggestion.insert.endsWith(' ') ? null : next);
    setPicked(0);
    place(next, position);
  }

  function submit() {
    const said = text.replace(/\s+/g, ' ').trim();
    const isCommand = said.startsWith('/');
    if (said === '' || (wait > 0 && !isCommand)) return;
    if (lengthOf(said) > messageLength) return;
    if (!connected) {
      setHeld(true);
      return;
    }
    if (!connection.say(said, replyTo ?? undefined)) return;
    setText('');
    setCaret(0);
    onReplyDone();
  }

  const sendHeld = useEffectEvent(() => {
    setHeld(false);
    submit();
  });
  useEffect(() => {
    if (connected && held) sendHeld();
  }, [connected, held]);

  function onKeyDown(event: KeyboardEvent) {
    if (event.nativeEvent.isComposing) return;
    if (items.length > 0) {
      const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
      if (step !== 0) {
        event.preventDefault();
        setPicked((at + step + items.length) % items.length);
        return;
      }
      const chosen = items[at];
      // A name that is typed whole needs no completing: Enter sends.
      const whole =
        chosen !== undefined && completion !== null && isWhole(text, completion, chosen);
      const takes = event.key === 'Enter' ? !whole : event.key === 'Tab' && !event.shiftKey;
      if (chosen && takes) {
        event.preventDefault();
        take(chosen);
        return;
      }
      if (event.key === 'Escape') {
        event.preventDefault();
        event.stopPropagation();
        setDismissed(text);
        return;
      }
    }
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === 'Escape' && replyTo) onReplyDone();
  }

  const left = messageLength - lengthOf(text.trim());
  const listId = `${id}-list`;
  const waitText =
    room.waitFor === 'timeout'
      ? `You are timed out for ${formatClock(wait)}`
      : room.waitFor === 'slow'
        ? `Slow mode: ${formatClock(wait)}`
        : `Wait ${formatClock(wait)}`;

  return (
    <div className={css.composer}>
      {refused && (
        <div className={css.refused} role="alert" data-testid="refused">
          <Icon name="warning" size={16} />
          <p>
            <strong>Not sent.</strong> {refused.message}
          </p>
          {text !== refused.text && (
            <button type="button" onClick={() => place(refused.text, refused.text.length)}>
              Edit it
            </button>
          )}
          <button type="button" aria-label="Dismiss" onClick={() => connection.dismissRefusal()}>
            <Icon name="close" size={14} />
          </button>
        </div>
      )}
      {replyTo && (
        <div className={css.replying}>
          <Icon name="reply" size={14} />
          <p>
            Reply to <strong>{replyTo.user.name}</strong>: {replyTo.text}
          </p>
          <button type="button" aria-label="Do not reply" onClick={onReplyDone}>
            <Icon name="close" size={14} />
          </button>
        </div>
      )}
      {picker && (
        <EmotePicker
          sets={emotes}
          channelName={channelName}
          onClose={() => {
            setPicker(false);
            field.current?.focus();
          }}
          onPick={(emote) => {
            const before = text && !text.endsWith(' ') ? `${text} ` : text;
            place(`${before}${emote.code} `, before.length + emote.code.length + 1);
            setPicker(false);
          }}
        />
      )}
      {items.length > 0 && (
        <div
          id={listId}
          className={css.completion}
          role="listbox"
          aria-label="Suggestions"
          tabIndex={-1}
        >
          {items.map((item, index) => (
            <div
              key={item.key}
              id={`${listId}-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              // The field keeps the keyboard; the pointer takes on press, before it loses it.
              onPointerDown={(event) => {
                event.preventDefault();
                take(item);
              }}
            >
              <SuggestionRow item={item} />
            </div>
          ))}
          <div className={css.completionHint} role="presentation">
            <kbd>↑</kbd> <kbd>↓</kbd> choose · <kbd>Tab</kbd> take
          </div>
        </div>
      )}
      <div className={css.field}>
        <textarea
          ref={field}
          rows={1}
          // No combobox: a field of several lines may not be one. What is on offer is still announced.
          aria-controls={items.length > 0 ? listId : undefined}
          aria-activedescendant={items.length > 0 ? `${listId}-${at}` : undefined}
          aria-autocomplete="list"
          aria-label="Your message"
          aria-describedby={`${id}-state`}
          placeholder="Say something…"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setHeld(false);
            setCaret(event.target.selectionStart);
            setPicked(0);
          }}
          onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
          onKeyDown={onKeyDown}
        />
        <button
          type="button"
          className={css.fieldButton}
          data-emote-toggle=""
          aria-label="Emotes"
          aria-expanded={picker}
          onClick={() => setPicker(!picker)}
        >
          <Icon name="smile" size={20} />
        </button>
      </div>
      <div className={css.composerFoot}>
        <p id={`${id}-state`} className={css.composerState}>
          {wait > 0 ? (
            <span className={css.countdown} data-testid="countdown" role="timer">
              <Icon name="timer" size={14} /> {waitText}
            </span>
          ) : held ? (
            'Sent as soon as the chat is connected'
          ) : (
            <Modes room={room} />
          )}
          <Sending room={room} clockOffsetMs={clockOffsetMs} />
        </p>
        {left < SHOW_LEFT && (
          <span className={cx('tabular', css.left, left < 0 && css.tooLong)}>
            {left}
            <span className="visually-hidden"> characters left</span>
          </span>
        )}
        <Button
          small
          look="primary"
          aria-disabled={
            text.trim() === '' || left < 0 || (wait > 0 && !text.trim().startsWith('/'))
          }
          onClick={submit}
        >
          Chat
        </Button>
      </div>
    </div>
  );
}

function SuggestionRow({ item }: { item: Suggestion }) {
  if (item.type === 'emote') {
    return (
      <>
        <EmoteImage id={item.emote.id} code={item.emote.code} /> {item.emote.code}
      </>
    );
  }
  if (item.type === 'user') {
    return (
      <>
        {item.name} <small>@{item.login}</small>
      </>
    );
  }
  return (
    <>
      /{item.command.name} <small>{item.command.usage}</small>
      <small className={css.completionAbout}>{item.command.about}</small>
    </>
  );
}

/** The modes that hold for oneself, in short. */
export function Modes({ room }: { room: RoomState }) {
  const { settings, me } = room;
  if (me.can_moderate) return null;
  const modes = [
    settings.slow_s > 0 && `Slow ${settings.slow_s} s`,
    settings.emote_only && 'Emotes only',
    settings.unique_chat && 'No repeats',
  ].filter((mode) => mode !== false);
  return modes.length > 0 ? <span>{modes.join(' · ')}</span> : null;
}

/** A message that takes its time is said to be on its way. */
const SLOW_MS = 700;

function Sending({ room, clockOffsetMs }: { room: RoomState; clockOffsetMs: number }) {
  // A command may be carried out without a word.
  const first = room.pending.find((sent) => !sent.text.startsWith('/'));
  return first ? <SlowSending since={first.at} clockOffsetMs={clockOffsetMs} /> : null;
}

function SlowSending({ since, clockOffsetMs }: { since: number; clockOffsetMs: number }) {
  const now = useNow(200);
  return now.getTime() + clockOffsetMs - since > SLOW_MS ? <span> Sending…</span> : null;
}
