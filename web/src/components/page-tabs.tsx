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
  return (
    <nav className={css.tabs} aria-label={label}>
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
