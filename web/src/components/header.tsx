import { useEffect, useId, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { explain } from '../api/client';
import { useInstance } from '../api/instance';
import { logOut, useSession } from '../api/session';
import type { User } from '../api/types';
import { cx } from '../lib/cx';
import { loginPath } from '../lib/routes';
import { ButtonLink } from './button';
import css from './header.module.css';
import { Icon, type IconName } from './icon';
import { LogoMark } from './logo';
import { toast } from './toasts';
import { Avatar } from './ui';
import { useMenu } from './use-menu';

export function Header() {
  const session = useSession();
  const instance = useInstance();
  const [path] = useLocation();
  return (
    <header className={css.header}>
      <div className={css.inner}>
        <Link href="/" className={css.brand} aria-label={instance?.name ?? 'Footlight'}>
          <LogoMark size={30} />
          <span className={css.word}>{instance?.name ?? 'Footlight'}</span>
        </Link>
        <nav className={css.nav} aria-label="Main">
          <Link href="/" className={css.link} aria-current={path === '/' ? 'page' : undefined}>
            Live
          </Link>
          <Link
            href="/videos"
            className={css.link}
            aria-current={/^\/(videos|clips)\b/.test(path) ? 'page' : undefined}
          >
            Videos
          </Link>
          {(instance?.has_about || instance?.has_rules) && (
            <Link
              href="/about"
              className={cx(css.link, css.wide)}
              aria-current={path === '/about' ? 'page' : undefined}
            >
              About
            </Link>
          )}
        </nav>
        <div className={css.side}>
          {session.status === 'signed-in' ? (
            <>
              <ButtonLink href="/dashboard" look="quiet" small icon="broadcast">
                Go live
              </ButtonLink>
              <AccountMenu user={session.user} />
            </>
          ) : (
            session.status === 'anonymous' && (
              <>
                <ButtonLink href={loginPath(path)} look="bare" small>
                  Log in
                </ButtonLink>
                {instance?.registration_open !== false && (
                  <ButtonLink href="/register" look="primary" small>
                    Sign up
                  </ButtonLink>
                )}
              </>
            )
          )}
        </div>
      </div>
    </header>
  );
}

function AccountMenu({ user }: { user: User }) {
  const [open, setOpen] = useState(false);
  const [path, navigate] = useLocation();
  const instance = useInstance();
  const id = useId();
  const { root, onKeyDown } = useMenu(open, setOpen);

  useEffect(() => setOpen(false), [path]);

  async function leave() {
    try {
      await logOut();
      navigate('/');
    } catch (error) {
      toast(explain(error), { danger: true });
    }
  }

  const entries: { icon: IconName; label: string; href: string }[] = [
    { icon: 'user', label: 'Your channel', href: `/${user.login}` },
    { icon: 'broadcast', label: 'Dashboard', href: '/dashboard' },
    { icon: 'film', label: 'Your videos', href: '/dashboard/videos' },
    { icon: 'settings', label: 'Settings', href: '/settings' },
    ...(user.role === 'admin' || user.role === 'moderator'
      ? [{ icon: 'shield', label: 'Administration', href: '/admin' } as const]
      : []),
    ...(instance?.has_about || instance?.has_rules
      ? [{ icon: 'info', label: 'About this site', href: '/about' } as const]
      : []),
  ];

  return (
    <div className={css.account} ref={root}>
      <button
        type="button"
        className={css.accountButton}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={id}
        aria-label={`Account: ${user.display_name}`}
        onClick={() => setOpen(!open)}
      >
        <Avatar name={user.display_name} size="small" />
      </button>
      {open && (
        <div id={id} role="menu" tabIndex={-1} className={css.menu} onKeyDown={onKeyDown}>
          <p className={css.who} role="presentation">
            <strong>{user.display_name}</strong>
            <span>@{user.login}</span>
          </p>
          {entries.map(({ icon, label, href }) => (
            <Link key={href} href={href} role="menuitem" tabIndex={-1} className={css.item}>
              <Icon name={icon} size={18} />
              {label}
            </Link>
          ))}
          <button
            type="button"
            role="menuitem"
            tabIndex={-1}
            className={css.item}
            onClick={() => void leave()}
          >
            <Icon name="logout" size={18} />
            Log out
          </button>
        </div>
      )}
    </div>
  );
}
