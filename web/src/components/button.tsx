import type { AnchorHTMLAttributes, ButtonHTMLAttributes } from 'react';
import { Link } from 'wouter';
import { cx } from '../lib/cx';
import { Icon, type IconName } from './icon';
import css from './ui.module.css';

type Look = 'plain' | 'primary' | 'quiet' | 'bare' | 'danger';
interface Dress {
  look?: Look;
  small?: boolean;
  wide?: boolean;
  icon?: IconName;
}

function dressed(
  { look = 'plain', small, wide }: Dress,
  iconOnly: boolean,
  extra?: string,
): string {
  return cx(
    css.button,
    look !== 'plain' && css[look],
    small && css.small,
    wide && css.wide,
    iconOnly && css.icon,
    extra,
  );
}

export function Button({
  look,
  small,
  wide,
  icon,
  busy = false,
  children,
  className,
  type = 'button',
  onClick,
  ...rest
}: Dress & { busy?: boolean } & ButtonHTMLAttributes<HTMLButtonElement>) {
  return (
    <button
      // A busy button stays focusable: disabling it would throw the keyboard's place away.
      {...rest}
      type={type}
      aria-disabled={busy || rest['aria-disabled']}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.(event);
      }}
      className={dressed({ look, small, wide }, children === undefined, className)}
    >
      {busy ? (
        <span className={css.spinner} aria-hidden="true" />
      ) : (
        icon && <Icon name={icon} size={small ? 16 : 18} />
      )}
      {children}
    </button>
  );
}

export function ButtonLink({
  look,
  small,
  wide,
  icon,
  children,
  className,
  href,
  ...rest
}: Dress & { href: string } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  return (
    <Link
      {...rest}
      href={href}
      className={dressed({ look, small, wide }, children === undefined, className)}
    >
      {icon && <Icon name={icon} size={small ? 16 : 18} />}
      {children}
    </Link>
  );
}
