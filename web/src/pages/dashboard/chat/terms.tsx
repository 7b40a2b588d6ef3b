import { type SubmitEvent, useState } from 'react';
import type { Moderation, Term } from '../../../api/moderation';
import { usePages } from '../../../api/use-pages';
import { attempt } from '../../../chat/cards';
import { Button } from '../../../components/button';
import { Field } from '../../../components/field';
import { Loaded } from '../../../components/loaded';
import { More } from '../../../components/more';
import { Tabs } from '../../../components/tabs';
import { Card } from '../../../components/ui';
import { useSending } from '../../../components/use-sending';
import css from '../dashboard.module.css';

export function Terms({ moderation }: { moderation: Moderation }) {
  const [kind, setKind] = useState<Term['kind']>('blocked');
  const terms = usePages(`terms/${kind}`, (cursor, signal) =>
    moderation.terms(kind, cursor, signal),
  );
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const { fault, send } = useSending();

  function add(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await moderation.addTerm({ text: text.trim(), kind, public: open });
      setText('');
      terms.reload();
    });
  }

  return (
    <Card
      title="Terms"
      about="Words and phrases; a * at the start or end of a word stands for more letters."
    >
      <div className={css.levels}>
        <Tabs<Term['kind']>
          label="Kind of terms"
          tabs={[
            { value: 'blocked', label: 'Blocked' },
            { value: 'permitted', label: 'Permitted' },
          ]}
          value={kind}
          onChange={setKind}
        />
        <form className={css.form} onSubmit={add}>
          <div className={css.addRow}>
            <Field
              label={kind === 'blocked' ? 'Block' : 'Always let through'}
              required
              minLength={2}
              maxLength={500}
              value={text}
              onChange={(event) => setText(event.target.value)}
              fault={fault}
            />
            <Button type="submit" icon="plus">
              Add
            </Button>
          </div>
          <label className={css.check}>
            <input
              type="checkbox"
              checked={open}
              onChange={(event) => setOpen(event.target.checked)}
            />
            Everybody may see this term
          </label>
        </form>
        <Loaded of={terms} ghost={css.ghostForm}>
          {(found) =>
            found.items.length === 0 ? (
              <p className={css.nothing}>No {kind} terms.</p>
            ) : (
              <ul className={css.rows}>
                {found.items.map((term) => (
                  <li key={term.id}>
                    <span>
                      {term.text} <small>{term.public ? 'public' : 'private'}</small>
                    </span>
                    <Button
                      small
                      look="bare"
                      icon="trash"
                      aria-label={`Remove ${term.text}`}
                      onClick={() =>
                        void attempt(moderation.removeTerm(term.id)).then(() => terms.reload())
                      }
                    />
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
        <More of={terms} />
      </div>
    </Card>
  );
}
