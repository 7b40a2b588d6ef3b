import { Link } from 'wouter';
import { useSession } from '../../api/session';
import { PageTabs } from '../../components/page-tabs';
import { EmptyState } from '../../components/ui';
import { useTitle } from '../../lib/title';
import css from './admin.module.css';
import { Appeals, Streams, Suspensions, Users } from './areas';
import { Audit } from './audit';
import { OverviewArea } from './overview';
import { Reports } from './reports';
import { SettingsArea } from './settings';

const AREAS = [
  { area: 'reports', label: 'Reports', of: Reports },
  { area: 'users', label: 'People', of: Users },
  { area: 'suspensions', label: 'Suspensions', of: Suspensions },
  { area: 'appeals', label: 'Appeals', of: Appeals },
  { area: 'streams', label: 'Streams', of: Streams },
  { area: 'audit', label: 'Audit log', of: Audit },
] as const;

/** For those who run the site alone. */
const OWNERS = [
  { area: 'overview', label: 'Overview', of: OverviewArea },
  { area: 'settings', label: 'Settings', of: SettingsArea },
] as const;

const pathOf = (area: string) => (area === 'reports' ? '/admin' : `/admin/${area}`);

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
  const areas = user.role === 'admin' ? [...OWNERS, ...AREAS] : AREAS;
  const chosen = areas.find((each) => each.area === area) ?? AREAS[0];
  return (
    <div className={css.page}>
      <h1>Administration</h1>
      <PageTabs
        label="Administration"
        at={pathOf(chosen.area)}
        pages={areas.map(({ area: name, label }) => ({ href: pathOf(name), name: label }))}
      />
      <chosen.of />
    </div>
  );
}
