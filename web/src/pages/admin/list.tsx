import type { ReactNode } from 'react';
import type { Pages } from '../../api/use-pages';
import { Loaded } from '../../components/loaded';
import { More } from '../../components/more';
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
  return (
    <Loaded of={of} ghost={css.ghost}>
      {({ items }) =>
        items.length === 0 ? (
          <p className={css.nothing}>{empty}</p>
        ) : (
          <>
            <ul className={css.list} aria-label={label}>
              {items.map((item) => (
                <li key={item.id} className={css.item}>
                  {children(item)}
                </li>
              ))}
            </ul>
            <More of={of} />
          </>
        )
      }
    </Loaded>
  );
}

/** How long, in the words of those who decide. */
export const DURATIONS = [
  [86_400, 'for a day'],
  [604_800, 'for a week'],
  [2_592_000, 'for 30 days'],
  [0, 'for good'],
] as const;
