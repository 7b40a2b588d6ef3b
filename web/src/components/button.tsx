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

type LinkProps = Dress & { href: string } & AnchorHTMLAttributes<HTMLAnchorElement>;

/** A link to another page of this site; one that the browser follows itself where it downloads or opens a tab. */
export function ButtonLink({ look, small, wide, icon, children, className, ...rest }: LinkProps) {
  const leaves = rest.download !== undefined || rest.target !== undefined;
  const To = leaves ? 'a' : Link;
  return (
    <To
      {...rest}
      rel={rest.target === '_blank' ? 'noopener' : undefined}
      className={dressed({ look, small, wide }, children === undefined, className)}
    >
      {icon && <Icon name={icon} size={small ? 16 : 18} />}
      {children}
    </To>
  );
}
