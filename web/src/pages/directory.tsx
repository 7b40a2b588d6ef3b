import { useMemo, useState } from 'react';
import { useLocation, useSearch } from 'wouter';
import { api, explain } from '../api/client';
import { useInstance } from '../api/instance';
import { useSession } from '../api/session';
import type { DirectoryItem, Page } from '../api/types';
import { useResource } from '../api/use-resource';
import { Button, ButtonLink } from '../components/button';
import { CardGhosts } from '../components/card-ghosts';
import { Chip } from '../components/chip';
import { InlineSelect } from '../components/field';
import { FailedPage } from '../components/loaded';
import { StreamCard } from '../components/stream-card';
import { EmptyState, Notice } from '../components/ui';
import { cx } from '../lib/cx';
import { useTitle } from '../lib/title';
import css from './directory.module.css';

const REFRESH_MS = 15_000;
type Sort = 'viewers' | 'started';

function sorted(items: readonly DirectoryItem[], sort: Sort): DirectoryItem[] {
  const byStart = (a: DirectoryItem, b: DirectoryItem) =>
    Date.parse(b.started_at) - Date.parse(a.started_at);
  return [...items].sort(
    sort === 'started' ? byStart : (a, b) => b.viewers - a.viewers || byStart(a, b),
  );
}

/** Categories in use, the fullest first. */
function categoriesOf(items: readonly DirectoryItem[]): string[] {
  const counts = new Map<string, number>();
  for (const { category } of items) {
    if (category) counts.set(category, (counts.get(category) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([name]) => name);
}

export function DirectoryPage() {
  useTitle(null);
  const streams = useResource(
    'streams',
    (signal) => api<Page<DirectoryItem>>('GET', '/streams?limit=100', { signal }),
    { everyMs: REFRESH_MS },
  );
  const [, navigate] = useLocation();
  const query = new URLSearchParams(useSearch());
  const category = query.get('category');
  const [sort, setSort] = useState<Sort>('viewers');
  const items = streams.data?.items;
  const categories = useMemo(() => categoriesOf(items ?? []), [items]);
  const shown = useMemo(
    () =>
      sorted(
        (items ?? []).filter((i) => category === null || i.category === category),
        sort,
      ),
    [items, category, sort],
  );

  function choose(next: string | null) {
    navigate(next === null ? '/' : `/?category=${encodeURIComponent(next)}`);
  }

  const tagline = useInstance()?.tagline;

  if (streams.loading) return <DirectorySkeleton />;
  if (items === undefined) {
    return <FailedPage of={streams} level="h1" title="The directory did not load" />;
  }
  if (items.length === 0) return <NobodyLive />;

  return (
    <div className={css.page}>
      <div className={css.head}>
        <h1>
          Live now <span className={css.count}>{items.length}</span>
        </h1>
        {tagline && <p className={css.tagline}>{tagline}</p>}
        <div className={css.tools}>
          <InlineSelect
            label="Sort by"
            value={sort}
            onChange={(event) => setSort(event.target.value as Sort)}
          >
            <option value="viewers">Most viewers</option>
            <option value="started">Just started</option>
          </InlineSelect>
        </div>
      </div>
      {categories.length > 0 && (
        <div className={css.filters} role="group" aria-label="Filter by category">
          {[null, ...categories].map((name) => (
            <Chip key={name ?? ''} pressed={category === name} onClick={() => choose(name)}>
              {name ?? 'All'}
            </Chip>
          ))}
        </div>
      )}
      {streams.error !== undefined && (
        <Notice tone="warn">This list may be out of date: {explain(streams.error)}</Notice>
      )}
      {shown.length === 0 ? (
        <EmptyState
          title={`Nobody is live in ${category ?? 'this category'} right now`}
          actions={
            <Button look="quiet" onClick={() => choose(null)}>
              Show all live channels
            </Button>
          }
        />
      ) : (
        <ul className={cx(css.grid, shown.length <= 6 && css.few)}>
          {shown.map((item, index) => (
            <li key={item.id}>
              <StreamCard item={item} eager={index < 4} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function NobodyLive() {
  const session = useSession();
  const instance = useInstance();
  const open = instance?.registration_open !== false;
  return (
    <div className={css.dark}>
      <EmptyState
        level="h1"
        title="The stage is dark"
        actions={
          session.status === 'signed-in' ? (
            <ButtonLink href="/dashboard" look="primary" icon="broadcast">
              Go live
            </ButtonLink>
          ) : (
            <>
              {open && (
                <ButtonLink href="/register" look="primary" icon="broadcast">
                  Make a channel
                </ButtonLink>
              )}
              <ButtonLink href="/login?next=/dashboard" look="quiet">
                Log in
              </ButtonLink>
            </>
          )
        }
      >
        Nobody is live right now. Be the first: paste a server and a key into OBS, press Start, and
        you are on this page a second later. It fills by itself as channels go live.
      </EmptyState>
    </div>
  );
}

function DirectorySkeleton() {
  return (
    <div className={css.page} role="status" aria-label="Loading the live channels">
      <div className={css.head}>
        <h1>Live now</h1>
      </div>
      <div className={css.grid}>
        <CardGhosts />
      </div>
    </div>
  );
}
