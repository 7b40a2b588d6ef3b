import { useEffect, useRef } from 'react';
import { Link } from 'wouter';
import css from './ui.module.css';

/** Links between the pages of one area. */
export function PageTabs({
  label,
  pages,
  at,
}: {
  label: string;
  pages: readonly { href: string; name: string }[];
  /** The address of the one that is shown. */
  at: string;
}) {
  const row = useRef<HTMLElement>(null);
  useEffect(() => {
    // Where the row is wider than the screen, the page that is shown is in sight.
    const tab = row.current?.querySelector<HTMLElement>('[aria-current]');
    if (row.current && tab) {
      row.current.scrollLeft = tab.offsetLeft + tab.offsetWidth / 2 - row.current.clientWidth / 2;
    }
  }, [at]);
  return (
    <nav ref={row} className={css.tabs} aria-label={label}>
      {pages.map(({ href, name }) => (
        <Link
          key={href}
          href={href}
          className={css.tab}
          aria-current={href === at ? 'page' : undefined}
        >
          {name}
        </Link>
      ))}
    </nav>
  );
}
