import { useEffect } from 'react';
import { useInstance } from '../api/instance';

/** The tab's title: "Ana is live · Footlight". */
export function useTitle(title: string | null) {
  const site = useInstance()?.name ?? 'Footlight';
  useEffect(() => {
    document.title = title === null ? site : `${title} · ${site}`;
  }, [title, site]);
}
