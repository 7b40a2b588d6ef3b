import type { ReactNode } from 'react';
import { explain } from '../api/client';
import type { Resource } from '../api/use-resource';
import { Button } from './button';
import { EmptyState, Notice, Skeleton } from './ui';

type Loading<T> = Pick<Resource<T>, 'data' | 'error' | 'reload'>;

/** What could not be loaded: why, and the way to try again. */
export function Failed({
  of,
  title,
}: {
  of: Pick<Loading<unknown>, 'error' | 'reload'>;
  title?: string;
}) {
  return (
    <Notice
      tone="danger"
      title={title}
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

/** The same where it is the page, or most of it. */
export function FailedPage({
  of,
  title,
  level,
}: {
  of: Pick<Loading<unknown>, 'error' | 'reload'>;
  title: string;
  level?: 'h1' | 'h2';
}) {
  return (
    <EmptyState
      level={level}
      title={title}
      actions={
        <Button look="primary" icon="refresh" onClick={of.reload}>
          Try again
        </Button>
      }
    >
      {explain(of.error)}
    </EmptyState>
  );
}

/** Something from the server: on its way, failed, or there. `ghost` is the class of what stands in its place. */
export function Loaded<T>({
  of,
  ghost,
  children,
}: {
  of: Loading<T>;
  ghost?: string;
  children: (data: T) => ReactNode;
}) {
  if (of.data !== undefined) return children(of.data);
  return of.error === undefined ? <Skeleton className={ghost} /> : <Failed of={of} />;
}
