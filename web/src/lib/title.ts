import { useEffect } from 'react';

/** The tab's title: "Ana is live · Footlight". */
export function useTitle(title: string | null) {
  useEffect(() => {
    document.title = title === null ? 'Footlight' : `${title} · Footlight`;
  }, [title]);
}
