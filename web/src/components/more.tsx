import type { Pages } from '../api/use-pages';
import { explain } from '../api/client';
import { Button, Notice } from './ui';

/** The end of a list that goes on: asks for more of it. */
export function More<T>({ of, label = 'Show more' }: { of: Pages<T>; label?: string }) {
  if (of.data === undefined) return null;
  if (of.error !== undefined) {
    return (
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
  if (of.data.next_cursor === null) return null;
  return (
    <Button small wide look="quiet" busy={of.loadingMore} onClick={of.more}>
      {label}
    </Button>
  );
}
