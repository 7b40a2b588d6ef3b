import { type SubmitEvent, useState } from 'react';
import { api, explain } from '../api/client';
import type { AppToken, NewAppToken } from '../api/moderation';
import type { Page } from '../api/types';
import { useResource } from '../api/use-resource';
import { Button } from '../components/button';
import { CopyField } from '../components/copy-field';
import { Dialog } from '../components/dialog';
import { Field, Select } from '../components/field';
import { Loaded } from '../components/loaded';
import { Ago } from '../components/time';
import { toast } from '../components/toasts';
import { Card, Tag } from '../components/ui';
import { useSending } from '../components/use-sending';
import css from './settings.module.css';

const SCOPES = [
  ['chat:read', 'Read chats'],
  ['chat:edit', 'Write in chats'],
  ['channel:moderate', 'Moderate where you may'],
] as const;

/** What bots and chat programs log in with: named, limited, and taken back at any time. */
export function AppTokens() {
  const tokens = useResource('app-tokens', (signal) =>
    api<Page<AppToken>>('GET', '/me/app-tokens?limit=100', { signal }),
  );
  const [making, setMaking] = useState(false);

  async function revoke(token: AppToken) {
    try {
      await api('DELETE', `/me/app-tokens/${token.id}`);
      toast(`“${token.name}” can no longer be used.`);
      tokens.reload();
    } catch (error) {
      toast(explain(error), { danger: true });
    }
  }

  return (
    <Card
      title="App tokens"
      about="For bots and chat programs: they log in as you, and may do only what you say."
      aside={
        <Button small look="quiet" icon="plus" onClick={() => setMaking(true)}>
          New token
        </Button>
      }
    >
      <Loaded of={tokens} ghost={css.ghost}>
        {({ items }) =>
          items.length === 0 ? (
            <p className={css.nothing}>
              No tokens. A bot that is made for Twitch’s chat works here.
            </p>
          ) : (
            <ul className={css.logins}>
              {items.map((token) => (
                <li key={token.id}>
                  <div>
                    <strong>{token.name}</strong>
                    <p>
                      {token.last_used_at ? (
                        <>
                          used <Ago at={token.last_used_at} />
                        </>
                      ) : (
                        'never used'
                      )}
                      {token.expires_at && (
                        <>
                          {' '}
                          · ends <Ago at={token.expires_at} />
                        </>
                      )}
                    </p>
                    <p className={css.scopes}>
                      {token.scopes.map((scope) => (
                        <Tag key={scope}>{scope}</Tag>
                      ))}
                    </p>
                  </div>
                  <Button
                    small
                    look="quiet"
                    aria-label={`Revoke token ${token.name}`}
                    onClick={() => void revoke(token)}
                  >
                    Revoke
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      <NewToken open={making} onMade={tokens.reload} onClose={() => setMaking(false)} />
    </Card>
  );
}

function NewToken({
  open,
  onMade,
  onClose,
}: {
  open: boolean;
  onMade: () => void;
  onClose: () => void;
}) {
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<readonly string[]>(['chat:read', 'chat:edit']);
  const [days, setDays] = useState('');
  const { busy, fault, send, refuse } = useSending();
  const [made, setMade] = useState<NewAppToken | null>(null);

  function submit(event: SubmitEvent) {
    event.preventDefault();
    if (scopes.length === 0) {
      refuse('Let it do one thing at least.');
      return;
    }
    void send(async () => {
      setMade(
        await api<NewAppToken>('POST', '/me/app-tokens', {
          body: {
            name: name.trim(),
            scopes,
            ...(days !== '' && { expires_in_days: Number(days) }),
          },
        }),
      );
      onMade();
    });
  }

  function close() {
    setMade(null);
    setName('');
    refuse(null);
    onClose();
  }

  return (
    <Dialog open={open} title={made ? `Token “${made.name}”` : 'New app token'} onClose={close}>
      {made ? (
        <>
          <CopyField
            label="Password for chat programs"
            value={`oauth:${made.token}`}
            secret
            hint="Copy it now: it is shown this once."
          />
          <CopyField label="Server" value={ircAddress()} />
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
            placeholder="The bot’s name"
            value={name}
            onChange={(event) => setName(event.target.value)}
            fault={fault}
          />
          <fieldset className={css.choices}>
            <legend>It may</legend>
            {SCOPES.map(([scope, label]) => (
              <label key={scope}>
                <input
                  type="checkbox"
                  checked={scopes.includes(scope)}
                  onChange={(event) =>
                    setScopes(
                      event.target.checked
                        ? [...scopes, scope]
                        : scopes.filter((each) => each !== scope),
                    )
                  }
                />
                {label}
              </label>
            ))}
          </fieldset>
          <Select label="It ends" value={days} onChange={(event) => setDays(event.target.value)}>
            <option value="">When it is revoked</option>
            <option value="30">After 30 days</option>
            <option value="90">After 90 days</option>
            <option value="365">After a year</option>
          </Select>
          <Button type="submit" look="primary" busy={busy} wide>
            Make the token
          </Button>
        </form>
      )}
    </Dialog>
  );
}

/** Where a chat program connects: the IRC dialect over WebSocket at this site's root. */
function ircAddress(): string {
  return `${location.protocol === 'http:' ? 'ws' : 'wss'}://${location.host}/`;
}
