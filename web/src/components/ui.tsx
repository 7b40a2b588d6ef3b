import {
  useEffect,
  useId,
  useRef,
  type AnchorHTMLAttributes,
  type ButtonHTMLAttributes,
  type InputHTMLAttributes,
  type ReactNode,
  type Ref,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
} from 'react';
import { Link } from 'wouter';
import { hueOf, initials } from '../lib/names';
import { Icon, type IconName } from './icon';
import { LogoMark } from './logo';
import css from './ui.module.css';

export function cx(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(' ');
}

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

interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  fault?: string | null;
}

function FieldShell({
  id,
  label,
  hint,
  fault,
  children,
}: FieldProps & { id: string; children: ReactNode }) {
  return (
    <div className={css.field}>
      <label className={css.label} htmlFor={id}>
        {label}
      </label>
      {children}
      {fault ? (
        <p className={css.fault} id={`${id}-fault`} role="alert">
          <Icon name="warning" size={16} />
          <span>{fault}</span>
        </p>
      ) : (
        hint && (
          <p className={css.hint} id={`${id}-hint`}>
            {hint}
          </p>
        )
      )}
    </div>
  );
}

function described(id: string, { hint, fault }: FieldProps) {
  return {
    'aria-invalid': fault ? true : undefined,
    'aria-describedby': fault ? `${id}-fault` : hint ? `${id}-hint` : undefined,
  };
}

export function Field({
  label,
  hint,
  fault,
  affix,
  ...input
}: FieldProps & {
  affix?: ReactNode;
  ref?: Ref<HTMLInputElement>;
} & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <FieldShell id={id} label={label} hint={hint} fault={fault}>
      <div className={css.control}>
        <input
          {...input}
          id={id}
          className={cx(css.input, affix !== undefined && css.withAffix)}
          {...described(id, { label, hint, fault })}
        />
        {affix !== undefined && <span className={css.affix}>{affix}</span>}
      </div>
    </FieldShell>
  );
}

export function TextArea({
  label,
  hint,
  fault,
  ...input
}: FieldProps & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId();
  return (
    <FieldShell id={id} label={label} hint={hint} fault={fault}>
      <textarea
        {...input}
        id={id}
        className={css.input}
        {...described(id, { label, hint, fault })}
      />
    </FieldShell>
  );
}

export function Select({
  label,
  hint,
  fault,
  children,
  ...select
}: FieldProps & SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId();
  return (
    <FieldShell id={id} label={label} hint={hint} fault={fault}>
      <select
        {...select}
        id={id}
        className={cx(css.input, css.select)}
        {...described(id, { label, hint, fault })}
      >
        {children}
      </select>
    </FieldShell>
  );
}

/** A select that stands in a row of controls; its label is for screen readers. */
export function InlineSelect({
  label,
  children,
  ...select
}: { label: string } & SelectHTMLAttributes<HTMLSelectElement>) {
  return (
    <select {...select} aria-label={label} className={cx(css.input, css.select, css.selectSmall)}>
      {children}
    </select>
  );
}

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
      className={cx(
        css.avatar,
        size === 'small' && css.avatarSmall,
        size === 'large' && css.avatarLarge,
        live && css.avatarLive,
      )}
    >
      {initials(name)}
    </span>
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

/** Tabs after the ARIA pattern: arrows move and select, only the selected one is a tab stop. */
export function Tabs<T extends string>({
  label,
  tabs,
  value,
  onChange,
}: {
  label: string;
  tabs: readonly { value: T; label: string }[];
  value: T;
  onChange: (value: T) => void;
}) {
  const base = useId();
  return (
    <div
      role="tablist"
      tabIndex={-1}
      aria-label={label}
      className={css.tabs}
      onKeyDown={(event) => {
        const at = tabs.findIndex((tab) => tab.value === value);
        const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
        const next = step && tabs[(at + step + tabs.length) % tabs.length];
        if (!next) return;
        event.preventDefault();
        onChange(next.value);
        document.getElementById(`${base}-${next.value}`)?.focus();
      }}
    >
      {tabs.map((tab) => (
        <button
          key={tab.value}
          id={`${base}-${tab.value}`}
          type="button"
          role="tab"
          aria-selected={tab.value === value}
          tabIndex={tab.value === value ? 0 : -1}
          className={css.tab}
          onClick={() => onChange(tab.value)}
        >
          {tab.label}
        </button>
      ))}
    </div>
  );
}

/** A modal: the browser's own dialog, so that focus, Escape and the inert page behind are its work. */
export function Dialog({
  open,
  title,
  children,
  actions,
  onClose,
}: {
  open: boolean;
  title: string;
  children: ReactNode;
  actions?: ReactNode;
  onClose: () => void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (open && dialog && !dialog.open) dialog.showModal();
    if (!open && dialog?.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={ref}
      className={css.dialog}
      aria-labelledby={heading}
      onClose={onClose}
      onCancel={onClose}
    >
      {open && (
        <>
          <div className={css.dialogHead}>
            <h2 id={heading}>{title}</h2>
            <Button look="bare" small icon="close" aria-label="Close" onClick={onClose} />
          </div>
          <div className={css.dialogBody}>{children}</div>
          {actions !== undefined && <div className={css.actions}>{actions}</div>}
        </>
      )}
    </dialog>
  );
}

/** Something that is on or off at once, without a form to send. */
export function Switch({
  label,
  hint,
  checked,
  busy = false,
  onChange,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  busy?: boolean;
  onChange: (checked: boolean) => void;
}) {
  const id = useId();
  return (
    <div className={css.switchRow}>
      <div>
        <span className={css.label} id={id}>
          {label}
        </span>
        {hint !== undefined && (
          <p className={css.hint} id={`${id}-hint`}>
            {hint}
          </p>
        )}
      </div>
      <button
        type="button"
        role="switch"
        aria-checked={checked}
        aria-labelledby={id}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        aria-busy={busy}
        className={css.switch}
        onClick={() => {
          if (!busy) onChange(!checked);
        }}
      />
    </div>
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
