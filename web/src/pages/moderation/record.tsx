import { useEffect, useState } from 'react';
import { explain } from '../../api/client';
import type { Moderation, Person } from '../../api/moderation';
import { usePages } from '../../api/use-pages';
import { attempt } from '../../chat/cards';
import type { RoomState } from '../../chat/room';
import { Button } from '../../components/button';
import { More } from '../../components/more';
import { Ago } from '../../components/time';
import { Notice, Pill, Skeleton } from '../../components/ui';
import { actionText } from './actions';
import css from './moderation.module.css';

const nameOf = (person: unknown): string | null => {
  if (typeof person === 'string') return person;
  if (person === null || typeof person !== 'object') return null;
  const { display_name, name, login } = person as Partial<Person> & { name?: string };
  return display_name ?? name ?? login ?? null;
};

export function ModLog({ room, moderation }: { room: RoomState; moderation: Moderation }) {
  const log = usePages('log', (cursor, signal) => moderation.log(cursor, signal));
  const known = new Set(room.log.map((entry) => entry.id));
  const entries = [...room.log, ...(log.data?.items ?? []).filter(({ id }) => !known.has(id))];
  if (log.error !== undefined && entries.length === 0) {
    return <Notice tone="danger">{explain(log.error)}</Notice>;
  }
  if (log.data === undefined && entries.length === 0) return <Skeleton className={css.ghost} />;
  if (entries.length === 0) return <p className={css.nothing}>Nothing was done yet.</p>;
  return (
    <>
      <ul className={css.log} aria-label="Moderation log">
        {entries.map((entry) => (
          <li key={entry.id}>
            <p>
              <strong>{nameOf(entry.moderator) ?? 'Footlight'}</strong>{' '}
              {actionText(entry.action, nameOf(entry.target ?? null), entry.data ?? {})}
            </p>
            <p className={css.why}>
              <Ago at={entry.at} />
              {entry.reason && <> · “{entry.reason}”</>}
            </p>
          </li>
        ))}
      </ul>
      <More of={log} />
    </>
  );
}

/** Counts what the log has told, so that a list is asked for again after every decision. */
const changes = (room: RoomState) => room.log[0]?.id ?? '';

export function Bans({ room, moderation }: { room: RoomState; moderation: Moderation }) {
  const bans = usePages('bans', (cursor, signal) => moderation.bans(cursor, signal));
  const { reload } = bans;
  const change = changes(room);
  useEffect(() => reload(), [change, reload]);
  if (bans.data === undefined) {
    return bans.error === undefined ? (
      <Skeleton className={css.ghost} />
    ) : (
      <Notice tone="danger">{explain(bans.error)}</Notice>
    );
  }
  if (bans.data.items.length === 0) return <p className={css.nothing}>Nobody is banned.</p>;
  return (
    <>
      <ul className={css.log} aria-label="Banned and timed out">
        {bans.data.items.map((ban) => (
          <li key={ban.user.id} className={css.withButton}>
            <div>
              <p>
                <strong>{ban.user.display_name}</strong>{' '}
                {ban.expires_at ? (
                  <Pill tone="warn">Timed out</Pill>
                ) : (
                  <Pill tone="danger">Banned</Pill>
                )}
              </p>
              <p className={css.why}>
                {ban.moderator ? `${ban.moderator.display_name} · ` : ''}
                <Ago at={ban.created_at} />
                {ban.reason && <> · “{ban.reason}”</>}
              </p>
            </div>
            <Button
              small
              look="quiet"
              aria-label={`Let ${ban.user.display_name} chat again`}
              onClick={() => void attempt(moderation.unban(ban.user.login)).then(reload)}
            >
              Lift
            </Button>
          </li>
        ))}
      </ul>
      <More of={bans} />
    </>
  );
}

export function Requests({ room, moderation }: { room: RoomState; moderation: Moderation }) {
  const requests = usePages('unban-requests', (cursor, signal) =>
    moderation.unbanRequests(cursor, signal),
  );
  const { reload } = requests;
  const change = changes(room);
  useEffect(() => reload(), [change, reload]);
  if (requests.data === undefined) {
    return requests.error === undefined ? (
      <Skeleton className={css.ghost} />
    ) : (
      <Notice tone="danger">{explain(requests.error)}</Notice>
    );
  }
  if (requests.data.items.length === 0) {
    return <p className={css.nothing}>Nobody asks to come back.</p>;
  }
  return (
    <>
      <ul className={css.log} aria-label="Unban requests">
        {requests.data.items.map((request) => (
          <li key={request.id}>
            <p>
              <strong>{request.user.display_name}</strong>{' '}
              {request.status !== 'open' && <Pill>{request.status}</Pill>}{' '}
              <span className={css.why}>
                <Ago at={request.created_at} />
              </span>
            </p>
            <ul className={css.talk}>
              {request.messages.map((message) => (
                <li key={message.id}>
                  <b>{message.author?.display_name ?? 'Somebody'}</b> {message.text}
                </li>
              ))}
            </ul>
            {request.status === 'open' && (
              <Answer
                onAnswer={async (answer) => {
                  if (await attempt(moderation.answerUnban(request.id, answer))) reload();
                }}
              />
            )}
          </li>
        ))}
      </ul>
      <More of={requests} />
    </>
  );
}

function Answer({
  onAnswer,
}: {
  onAnswer: (answer: { decision?: 'approve' | 'deny'; text?: string }) => Promise<void>;
}) {
  const [text, setText] = useState('');
  const said = text.trim() || undefined;
  const send = (decision?: 'approve' | 'deny') =>
    void onAnswer({ decision, text: said }).then(() => setText(''));
  return (
    <div className={css.answer}>
      <input
        type="text"
        aria-label="Your answer"
        placeholder="Answer (optional)"
        maxLength={500}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <p className={css.buttons}>
        <Button small look="primary" onClick={() => send('approve')}>
          Let back in
        </Button>
        <Button small look="quiet" onClick={() => send('deny')}>
          Deny
        </Button>
        {said !== undefined && (
          <Button small look="bare" onClick={() => send()}>
            Only answer
          </Button>
        )}
      </p>
    </div>
  );
}
