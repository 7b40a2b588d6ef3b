import { Link } from 'wouter';
import { useSession } from '../../api/session';
import { EmptyState } from '../../components/ui';
import { useTitle } from '../../lib/title';
import css from './admin.module.css';
import { Appeals, Audit, Streams, Suspensions, Users } from './areas';
import { Reports } from './reports';

const AREAS = [
  { area: 'reports', label: 'Reports', of: Reports },
  { area: 'users', label: 'People', of: Users },
  { area: 'suspensions', label: 'Suspensions', of: Suspensions },
  { area: 'appeals', label: 'Appeals', of: Appeals },
  { area: 'streams', label: 'Streams', of: Streams },
  { area: 'audit', label: 'Audit log', of: Audit },
] as const;

/** For those who run the site and those who keep it civil. */
export default function AdminPage({ area }: { area: string }) {
  useTitle('Administration');
  const { user } = useSession();
  if (user === null) return null;
  if (user.role !== 'admin' && user.role !== 'moderator') {
    return (
      <EmptyState level="h1" title="This page is for the people who run the site">
        <Link href="/">To the directory</Link>
      </EmptyState>
    );
  }
  const chosen = AREAS.find((each) => each.area === area) ?? AREAS[0];
  return (
    <div className={css.page}>
      <h1>Administration</h1>
      <nav className={css.nav} aria-label="Administration">
        {AREAS.map(({ area: name, label }) => (
          <Link
            key={name}
            href={name === 'reports' ? '/admin' : `/admin/${name}`}
            aria-current={name === chosen.area ? 'page' : undefined}
          >
            {label}
          </Link>
        ))}
      </nav>
      <chosen.of />
    </div>
  );
}
