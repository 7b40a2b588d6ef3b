import { Link, useLocation } from 'wouter';
import { useSession } from '../../api/session';
import css from './dashboard.module.css';

/** The dashboard's pages. */
export function DashboardNav() {
  const [path] = useLocation();
  const { user } = useSession();
  const pages = [
    { href: '/dashboard', label: 'Stream' },
    { href: '/dashboard/videos', label: 'Videos' },
    { href: '/dashboard/upload', label: 'Upload' },
    { href: '/dashboard/chat', label: 'Chat' },
    { href: `/moderation/${user?.login ?? ''}`, label: 'Moderation' },
  ];
  return (
    <nav className={css.nav} aria-label="Dashboard">
      {pages.map(({ href, label }) => (
        <Link key={href} href={href} aria-current={path === href ? 'page' : undefined}>
          {label}
        </Link>
      ))}
    </nav>
  );
}
