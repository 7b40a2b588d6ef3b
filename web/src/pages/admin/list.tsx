import type { ReactNode } from 'react';
import { explain } from '../../api/client';
import type { Pages } from '../../api/use-pages';
import { More } from '../../components/more';
import { Button, Notice, Skeleton } from '../../components/ui';
import css from './admin.module.css';

/** A list from the server: loading, failed, empty, or its items. */
export function List<T extends { id: string }>({
  of,
  label,
  empty,
  children,
}: {
  of: Pages<T>;
  label: string;
  empty: string;
  children: (item: T) => ReactNode;
}) {
  if (of.data === undefined) {
    return of.error === undefined ? (
      <Skeleton className={css.ghost} />
    ) : (
      <Notice
        tone="danger"
        action={
          <Button small look="quiet" onClick={of.reload}>
            Try again
          </Button>
        }
      >
        {explain(of.error)}
      </Notice>
    );
  }
  if (of.data.items.length === 0) return <p className={css.nothing}>{empty}</p>;
  return (
    <>
      <ul className={css.list} aria-label={label}>
        {of.data.items.map((item) => (
          <li key={item.id} className={css.item}>
            {children(item)}
          </li>
        ))}
      </ul>
      <More of={of} />
    </>
  );
}

/** How long, in the words of those who decide. */
export const DURATIONS = [
  [86_400, 'for a day'],
  [604_800, 'for a week'],
  [2_592_000, 'for 30 days'],
  [0, 'for good'],
] as const;
