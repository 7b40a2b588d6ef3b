import { type SubmitEvent, useState } from 'react';
import { ApiError, explain } from '../../../api/client';
import type { Moderation, RoleName } from '../../../api/moderation';
import { usePages } from '../../../api/use-pages';
import { attempt } from '../../../chat/cards';
import { Button } from '../../../components/button';
import { Field } from '../../../components/field';
import { Loaded } from '../../../components/loaded';
import { More } from '../../../components/more';
import { Card } from '../../../components/ui';
import css from '../dashboard.module.css';

export function People({
  list,
  title,
  about,
  moderation,
}: {
  list: RoleName;
  title: string;
  about: string;
  moderation: Moderation;
}) {
  const holders = usePages(list, (cursor, signal) => moderation.holders(list, cursor, signal));
  const [login, setLogin] = useState('');
  const [fault, setFault] = useState<string | null>(null);

  async function add(event: SubmitEvent) {
    event.preventDefault();
    setFault(null);
    try {
      await moderation.grant(list, login.trim().replace(/^@/, '').toLowerCase());
      setLogin('');
      holders.reload();
    } catch (error) {
      setFault(
        error instanceof ApiError && error.status === 404
          ? 'There is nobody of that name.'
          : explain(error),
      );
    }
  }

  return (
    <Card title={title} about={about}>
      <form className={css.addRow} onSubmit={(event) => void add(event)}>
        <Field
          label={`Add to ${title}`}
          required
          maxLength={26}
          placeholder="name"
          autoComplete="off"
          value={login}
          onChange={(event) => setLogin(event.target.value)}
          fault={fault}
        />
        <Button type="submit" icon="plus">
          Add
        </Button>
      </form>
      <Loaded of={holders} ghost={css.ghostForm}>
        {(found) =>
          found.items.length === 0 ? (
            <p className={css.nothing}>Nobody yet.</p>
          ) : (
            <ul className={css.rows}>
              {found.items.map(({ user }) => (
                <li key={user.id}>
                  <span>
                    {user.display_name} <small>@{user.login}</small>
                  </span>
                  <Button
                    small
                    look="bare"
                    icon="close"
                    aria-label={`Remove ${user.display_name} from ${title}`}
                    onClick={() =>
                      void attempt(moderation.revoke(list, user.login)).then(() => holders.reload())
                    }
                  />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      <More of={holders} />
    </Card>
  );
}
