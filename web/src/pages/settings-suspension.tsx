import { type SubmitEvent, useState } from 'react';
import { api } from '../api/client';
import { useResource } from '../api/use-resource';
import { Button } from '../components/button';
import { TextArea } from '../components/field';
import { toast } from '../components/toasts';
import { Card, Notice, Pill } from '../components/ui';
import { useSending } from '../components/use-sending';
import { formatExact } from '../lib/format';
import css from './settings.module.css';

interface MySuspension {
  id: string;
  scope: 'account' | 'channel';
  reason: string;
  created_at: string;
  until: string | null;
  appeal: {
    text: string;
    decision: string | null;
    answer: string;
    decided_at: string | null;
  } | null;
}

/** What somebody suspended is told, and the way to have it looked at again. Nothing for everybody else. */
export function Suspensions() {
  const mine = useResource('suspension', (signal) =>
    api<{ items: MySuspension[] }>('GET', '/me/suspension', { signal }),
  );
  return mine.data?.items.map((suspension) => (
    <Card
      key={suspension.id}
      title={
        suspension.scope === 'account' ? 'Your account is suspended' : 'Your channel is suspended'
      }
      about={
        suspension.until === null
          ? 'For good.'
          : `Until ${formatExact(new Date(suspension.until))}.`
      }
    >
      <div className={css.form}>
        <Notice tone="warn" title="Why">
          {suspension.reason}
        </Notice>
        {suspension.appeal === null ? (
          <Appeal id={suspension.id} onSent={mine.reload} />
        ) : (
          <div>
            <Pill tone={suspension.appeal.decision === null ? 'plain' : 'ok'}>
              {suspension.appeal.decision === null
                ? 'Your appeal waits'
                : `Appeal ${suspension.appeal.decision}`}
            </Pill>
            <p>{suspension.appeal.answer || suspension.appeal.text}</p>
          </div>
        )}
      </div>
    </Card>
  ));
}

function Appeal({ id, onSent }: { id: string; onSent: () => void }) {
  const [text, setText] = useState('');
  const { busy, fault, send } = useSending();

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await api('POST', `/me/suspension/${id}/appeal`, { body: { text: text.trim() } });
      toast('Your appeal is on its way.');
      onSent();
    });
  }

  return (
    <form className={css.form} onSubmit={submit}>
      <TextArea
        label="Why is it wrong?"
        required
        maxLength={2000}
        value={text}
        onChange={(event) => setText(event.target.value)}
        fault={fault}
        hint="Somebody else than who suspended you reads it."
      />
      <div className={css.actions}>
        <Button type="submit" busy={busy}>
          Send the appeal
        </Button>
      </div>
    </form>
  );
}
