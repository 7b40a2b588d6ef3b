import { useCallback, useState } from 'react';
import type { Page } from './types';
import { useResource, type Resource } from './use-resource';

/** A list from the server as far as it was asked for. */
export interface Pages<T> extends Omit<Resource<Page<T>>, 'put'> {
  /** Ask for one page more. */
  more: () => void;
  loadingMore: boolean;
}

/**
 * Load a list page by page. A reload asks for all the pages that are shown again, so that what is shown
 * stays one list: nothing twice, nothing missing.
 */
export function usePages<T>(
  key: string,
  load: (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>,
  options: { everyMs?: number } = {},
): Pages<T> {
  const [wanted, setWanted] = useState({ key, pages: 1 });
  const pages = wanted.key === key ? wanted.pages : 1;
  const { data, error, loading, reload } = useResource(
    key,
    (signal) => firstPages(pages, (cursor) => load(cursor, signal)),
    options,
  );
  const more = useCallback(() => {
    setWanted({ key, pages: pages + 1 });
    reload();
  }, [key, pages, reload]);
  const loadingMore = data !== undefined && data.pages < pages && data.next_cursor !== null;
  return { data, error, loading, reload, more, loadingMore: loadingMore && error === undefined };
}

/** The first `count` pages of a list as one, or fewer when it ends before. */
export async function firstPages<T>(
  count: number,
  load: (cursor: string | null) => Promise<Page<T>>,
): Promise<Page<T> & { pages: number }> {
  const items: T[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const page: Page<T> = await load(cursor);
    items.push(...page.items);
    cursor = page.next_cursor;
    pages += 1;
  } while (cursor !== null && pages < count);
  return { items, next_cursor: cursor, pages };
}
