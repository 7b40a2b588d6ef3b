import type { Pages } from '../api/use-pages';
import { Button } from './button';
import { Failed } from './loaded';

/** The end of a list that goes on: asks for more of it. */
export function More<T>({ of, label = 'Show more' }: { of: Pages<T>; label?: string }) {
  if (of.data === undefined) return null;
  if (of.error !== undefined) return <Failed of={of} />;
  if (of.data.next_cursor === null) return null;
  return (
    <Button small wide look="quiet" busy={of.loadingMore} onClick={of.more}>
      {label}
    </Button>
  );
}
