import {
  type InputHTMLAttributes,
  type ReactNode,
  type Ref,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
} from 'react';
import { cx } from '../lib/cx';
import { Icon } from './icon';
import css from './ui.module.css';

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

/** Something that is on or off at once, without a form to send. */
export function Switch({
  label,
  hint,
  checked,
  busy = false,
  disabled = false,
  onChange,
}: {
  label: string;
  hint?: string;
  checked: boolean;
  busy?: boolean;
  disabled?: boolean;
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
        disabled={disabled}
        className={css.switch}
        onClick={() => {
          if (!busy) onChange(!checked);
        }}
      />
    </div>
  );
}
