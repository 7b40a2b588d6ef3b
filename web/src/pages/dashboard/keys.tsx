import { type SubmitEvent, useState } from 'react';
import { api, explain } from '../../api/client';
import type { NewStreamKey, Page, StreamKey } from '../../api/types';
import { type Resource, useResource } from '../../api/use-resource';
import { Button } from '../../components/button';
import { CopyField } from '../../components/copy-field';
import { Dialog } from '../../components/dialog';
import { Field } from '../../components/field';
import { Loaded } from '../../components/loaded';
import { Ago } from '../../components/time';
import { toast } from '../../components/toasts';
import { Card } from '../../components/ui';
import { useSending } from '../../components/use-sending';
import css from './dashboard.module.css';

export type StreamKeysResource = Resource<Page<StreamKey>>;

export function useStreamKeys(): StreamKeysResource {
  return useResource('stream-keys', (signal) =>
    api<Page<StreamKey>>('GET', '/me/stream-keys', { signal }),
  );
}

/** Every key by its name, when it was last used, and the way to take it back. */
export function StreamKeys({
  keys,
  made,
  onMade,
  live,
}: {
  keys: StreamKeysResource;
  made: NewStreamKey | null;
  onMade: (key: NewStreamKey | null) => void;
  live: boolean;
}) {
  const [adding, setAdding] = useState(false);
  const [revoking, setRevoking] = useState<StreamKey | null>(null);

  return (
    <Card
      title="Stream keys"
      about="One for each machine or person that may stream here."
      aside={
        <Button small look="quiet" icon="plus" onClick={() => setAdding(true)}>
          New key
        </Button>
      }
    >
      {live && made !== null && (
        <div className={css.gapBelow}>
          <CopyField
            label={`Key “${made.name}”`}
            value={made.key}
            secret
            hint="Shown this once: it is gone when you leave this page."
          />
        </div>
      )}
      <Loaded of={keys} ghost={css.ghostRows}>
        {({ items }) =>
          items.length === 0 ? (
            <p className={css.nothing}>No keys yet. The first one is made in “Connect OBS”.</p>
          ) : (
            <ul className={css.keys}>
              {items.map((key) => (
                <li key={key.id}>
                  <div>
                    <strong>{key.name}</strong>
                    <p>
                      <code>…{key.hint}</code> ·{' '}
                      {key.last_used_at ? (
                        <>
                          used <Ago at={key.last_used_at} />
                        </>
                      ) : (
                        'never used'
                      )}
                    </p>
                  </div>
                  <Button
                    small
                    look="bare"
                    icon="trash"
                    aria-label={`Revoke key ${key.name}`}
                    title="Revoke"
                    onClick={() => setRevoking(key)}
                  />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      <NewKey open={adding} keys={keys} onMade={onMade} onClose={() => setAdding(false)} />
      <RevokeKey
        target={revoking}
        onClose={() => setRevoking(null)}
        onRevoked={(id) => {
          if (made?.id === id) onMade(null);
          keys.reload();
        }}
      />
    </Card>
  );
}

function NewKey({
  open,
  keys,
  onMade,
  onClose,
}: {
  open: boolean;
  keys: StreamKeysResource;
  onMade: (key: NewStreamKey) => void;
  onClose: () => void;
}) {
  const [name, setName] = useState('');
  const { busy, fault, send, refuse } = useSending();
  const [fresh, setFresh] = useState<NewStreamKey | null>(null);

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      const key = await api<NewStreamKey>('POST', '/me/stream-keys', {
        body: { name: name.trim() },
      });
      setFresh(key);
      onMade(key);
      keys.reload();
    });
  }

  function close() {
    setFresh(null);
    setName('');
    refuse(null);
    onClose();
  }

  return (
    <Dialog open={open} title={fresh ? `Key “${fresh.name}”` : 'New stream key'} onClose={close}>
      {fresh ? (
        <>
          <CopyField label="Server" value={fresh.server} />
          <CopyField
            label="Stream key"
            value={fresh.key}
            secret
            hint="Copy it now: it is shown this once."
          />
          <Button look="primary" onClick={close}>
            Done
          </Button>
        </>
      ) : (
        <form className={css.form} onSubmit={submit}>
          <Field
            label="What is it for?"
            required
            maxLength={40}
            placeholder="Laptop, studio, a friend…"
            value={name}
            onChange={(event) => setName(event.target.value)}
            fault={fault}
          />
          <Button type="submit" look="primary" busy={busy} wide>
            Make the key
          </Button>
        </form>
      )}
    </Dialog>
  );
}

function RevokeKey({
  target,
  onClose,
  onRevoked,
}: {
  target: StreamKey | null;
  onClose: () => void;
  onRevoked: (id: string) => void;
}) {
  const [busy, setBusy] = useState(false);

  async function revoke(key: StreamKey) {
    setBusy(true);
    try {
      await api('DELETE', `/me/stream-keys/${key.id}`);
      toast(`The key “${key.name}” no longer works.`);
      onRevoked(key.id);
      onClose();
    } catch (error) {
      toast(explain(error), { danger: true });
    } finally {
      setBusy(false);
    }
  }

  return (
    <Dialog
      open={target !== null}
      title={`Revoke “${target?.name ?? ''}”?`}
      onClose={onClose}
      actions={
        target && (
          <>
            <Button onClick={onClose}>Keep it</Button>
            <Button look="danger" busy={busy} onClick={() => void revoke(target)}>
              Revoke
            </Button>
          </>
        )
      }
    >
      <p>It stops working at once. A stream that uses it is cut off within five seconds.</p>
    </Dialog>
  );
}
