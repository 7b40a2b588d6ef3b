import { useLocation } from 'wouter';
import { useSession } from '../../api/session';
import { PageTabs } from '../../components/page-tabs';

/** The dashboard's pages. */
export function DashboardNav() {
  const [path] = useLocation();
  const { user } = useSession();
  return (
    <PageTabs
      label="Dashboard"
      at={path}
      pages={[
        { href: '/dashboard', name: 'Stream' },
        { href: '/dashboard/videos', name: 'Videos' },
        { href: '/dashboard/upload', name: 'Upload' },
        { href: '/dashboard/chat', name: 'Chat' },
        { href: `/moderation/${user?.login ?? ''}`, name: 'Moderation' },
      ]}
    />
  );
}
