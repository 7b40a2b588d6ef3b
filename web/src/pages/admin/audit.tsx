import { useState } from 'react';
import { type AuditLine, admin } from '../../api/admin';
import { usePages } from '../../api/use-pages';
import { Button } from '../../components/button';
import { Field } from '../../components/field';
import { formatExact } from '../../lib/format';
import css from './admin.module.css';
import { told } from './audit-words';
import { List } from './list';

/** Who did what, the newest first. */
export function Audit() {
  const [action, setAction] = useState('');
  const [asked, setAsked] = useState('');
  const lines = usePages(`audit/${asked}`, (cursor, signal) =>
    admin.audit({ action: asked }, cursor, signal),
  );
  return (
    <>
      <form
        className={css.filters}
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(action.trim());
        }}
      >
        <Field
          label="Only this action"
          placeholder="chat.ban"
          pattern="[a-z0-9_.]{1,60}"
          value={action}
          onChange={(event) => setAction(event.target.value)}
        />
        <Button type="submit" icon="search">
          Show
        </Button>
      </form>
      <List of={lines} label="Audit log" empty="Nothing was written down.">
        {(line) => <Line line={line} />}
      </List>
    </>
  );
}

function Line({ line }: { line: AuditLine }) {
  const { sentence, quotes, notes } = told(
    line.action,
    line.target_user?.display_name ?? null,
    line.data,
  );
  return (
    <div>
      <p>
        <strong>{line.actor?.display_name ?? 'Footlight'}</strong> {sentence}
      </p>
      {quotes.map((quote) => (
        <p key={quote} className={css.quote}>
          {quote}
        </p>
      ))}
      <p className={css.faint}>
        {[formatExact(new Date(line.at)), line.address, ...notes].filter(Boolean).join(' · ')}
        <code className={css.action}>{line.action}</code>
      </p>
    </div>
  );
}
