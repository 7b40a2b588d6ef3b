import { useLayoutEffect, useRef, useState, type ReactNode } from 'react';
import { explain } from '../api/client';
import type { Resource } from '../api/use-resource';
import { Button } from './button';
import { EmptyState, Notice, Skeleton } from './ui';

type Loading<T> = Pick<Resource<T>, 'data' | 'error' | 'reload'>;

/** Asks again, and shows that it does: the same answer would look like no answer. */
function TryAgain({
  of: { error, reload },
  small = false,
}: {
  of: Pick<Loading<unknown>, 'error' | 'reload'>;
  small?: boolean;
}) {
  const [asked, setAsked] = useState<{ after: unknown } | null>(null);
  const button = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    const here = button.current;
    return () => {
      // It goes because what was asked for is there: the keyboard goes on with that.
      if (here?.contains(document.activeElement)) {
        document.getElementById('main')?.focus({ preventScroll: true });
      }
    };
  }, []);
  return (
    <span ref={button}>
      <Button
        small={small}
        look={small ? 'quiet' : 'primary'}
        icon={small ? undefined : 'refresh'}
        busy={asked !== null && asked.after === error}
        onClick={() => {
          setAsked({ after: error });
          reload();
        }}
      >
        Try again
      </Button>
    </span>
  );
}

/** What could not be loaded: why, and the way to try again. */
export function Failed({
  of,
  title,
}: {
  of: Pick<Loading<unknown>, 'error' | 'reload'>;
  title?: string;
}) {
  return (
    <Notice tone="danger" title={title} action={<TryAgain of={of} small />}>
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
    <EmptyState level={level} title={title} actions={<TryAgain of={of} />}>
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
