import { type ReactNode, useEffect, useId, useRef } from 'react';
import { cx } from '../lib/cx';
import { hueOf, initials } from '../lib/names';
import { Icon, type IconName } from './icon';
import { LogoMark } from './logo';
import css from './ui.module.css';

export function Card({
  title,
  about,
  aside,
  children,
  className,
  id,
}: {
  title?: ReactNode;
  about?: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
  className?: string;
  id?: string;
}) {
  const heading = useId();
  return (
    <section
      className={cx(css.card, className)}
      id={id}
      aria-labelledby={title === undefined ? undefined : heading}
    >
      {title !== undefined && (
        <div className={css.cardHead}>
          <h2 id={heading}>{title}</h2>
          {aside}
          {about !== undefined && <p>{about}</p>}
        </div>
      )}
      {children}
    </section>
  );
}

export function Avatar({
  name,
  size = 'medium',
  live = false,
}: {
  name: string;
  size?: 'small' | 'medium' | 'large';
  live?: boolean;
}) {
  const ref = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    ref.current?.style.setProperty('--hue', String(hueOf(name)));
  }, [name]);
  return (
    <span
      ref={ref}
      aria-hidden="true"
      data-initials={initials(name)}
      className={cx(
        css.avatar,
        size === 'small' && css.avatarSmall,
        size === 'large' && css.avatarLarge,
        live && css.avatarLive,
      )}
    />
  );
}

export function Pill({
  tone = 'plain',
  dot = false,
  pulse = false,
  children,
}: {
  tone?: 'plain' | 'live' | 'warn' | 'ok' | 'danger';
  dot?: boolean;
  /** For what passes: an animation costs a machine without a graphics processor as much as the video beside it. */
  pulse?: boolean;
  children: ReactNode;
}) {
  const tones = {
    plain: undefined,
    live: css.pillLive,
    warn: css.pillWarn,
    ok: css.pillOk,
    danger: css.pillDanger,
  };
  return (
    <span className={cx(css.pill, tones[tone])}>
      {dot && <span className={cx(css.pillDot, pulse && css.pulse)} aria-hidden="true" />}
      {children}
    </span>
  );
}

export function Tag({ children }: { children: string }) {
  return (
    <span className={css.tag} title={children}>
      {children}
    </span>
  );
}

export function Notice({
  tone = 'plain',
  title,
  children,
  action,
}: {
  tone?: 'plain' | 'warn' | 'danger' | 'ok';
  title?: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
}) {
  const tones = {
    plain: undefined,
    warn: css.noticeWarn,
    danger: css.noticeDanger,
    ok: css.noticeOk,
  };
  const icons: Record<typeof tone, IconName> = {
    plain: 'info',
    warn: 'warning',
    danger: 'warning',
    ok: 'check',
  };
  return (
    <div className={cx(css.notice, tones[tone])} role={tone === 'danger' ? 'alert' : 'status'}>
      <Icon name={icons[tone]} />
      <div>
        {title !== undefined && <strong>{title}</strong>}
        {children !== undefined && <div>{children}</div>}
      </div>
      {action}
    </div>
  );
}

/** What is wrong with a form as a whole. */
export function FormFault({ text }: { text: string | null }) {
  return text === null ? null : <Notice tone="danger">{text}</Notice>;
}

export function Skeleton({ className }: { className?: string }) {
  return <div className={cx(css.skeleton, className)} aria-hidden="true" />;
}

export function EmptyState({
  title,
  children,
  actions,
  lit = false,
  level: Heading = 'h2',
}: {
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  lit?: boolean;
  level?: 'h1' | 'h2';
}) {
  return (
    <div className={css.empty}>
      <div className={css.emptyArt}>
        <LogoMark size={72} lit={lit} />
      </div>
      <Heading>{title}</Heading>
      {children !== undefined && <p>{children}</p>}
      {actions !== undefined && <div className={css.emptyActions}>{actions}</div>}
    </div>
  );
}

export function Tooltip({ text, children }: { text: string; children: ReactNode }) {
  return (
    <span className={css.tipHost}>
      {children}
      <span className={css.tip} aria-hidden="true">
        {text}
      </span>
    </span>
  );
}
