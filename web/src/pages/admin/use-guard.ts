import { useEffect, useState } from 'react';
import { useLocation } from 'wouter';
import { holdPage } from '../../lib/back';

interface Guard {
  /** Whether somebody wants to leave. */
  asked: boolean;
  /** Not yet. */
  stay: () => void;
  /** On to where they wanted to go. What is dirty must be clean by then. */
  leave: () => void;
}

/**
 * While `dirty`, ask before the page is left: by a link of ours, or by the browser's back and forward. The
 * browser itself asks when the tab closes.
 */
export function useGuard(dirty: boolean): Guard {
  const [, navigate] = useLocation();
  const [onward, setOnward] = useState<{ go: () => void } | null>(null);

  useEffect(() => {
    if (!dirty) return;
    const page = location.pathname;

    const onUnload = (event: BeforeUnloadEvent) => event.preventDefault();

    function onClick(event: MouseEvent) {
      const link = (event.target as Element | null)?.closest<HTMLAnchorElement>('a[href]');
      const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0;
      if (!link || elsewhere || link.target === '_blank' || link.origin !== location.origin) return;
      if (link.pathname === page) return;
      event.preventDefault();
      event.stopPropagation();
      const to = link.pathname + link.search + link.hash;
      setOnward({ go: () => navigate(to) });
    }

    const free = holdPage((leave) => setOnward({ go: leave }));

    addEventListener('beforeunload', onUnload);
    // Before the router hears of it.
    document.addEventListener('click', onClick, true);
    return () => {
      removeEventListener('beforeunload', onUnload);
      document.removeEventListener('click', onClick, true);
      free();
    };
  }, [dirty, navigate]);

  return {
    asked: onward !== null,
    stay: () => setOnward(null),
    leave: () => {
      setOnward(null);
      onward?.go();
    },
  };
}
