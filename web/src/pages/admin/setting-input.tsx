import type { ReactNode } from 'react';
import type { Settings } from '../../api/admin';
import { Field, Select, Switch, TextArea } from '../../components/field';
import { Icon } from '../../components/icon';
import { cx } from '../../lib/cx';
import { type SettingField, shown, words } from './settings-fields';
import own from './settings.module.css';

/** One setting: its field, what it was, its default, and why it may be fixed. */
export function SettingInput({
  field,
  of: { values, defaults, chosen, fixed },
  input,
  changed,
  fault,
  onInput,
}: {
  field: SettingField;
  of: Settings;
  /** What was put in and is not saved. */
  input: string | boolean | undefined;
  changed: boolean;
  fault: string | undefined;
  onInput: (input: string | boolean) => void;
}) {
  const value = values[field.name] ?? null;
  const usual = defaults[field.name] ?? null;
  const variable = fixed[field.name];
  const now = input ?? shown(field, value);
  const wide = field.kind === 'lines' || field.kind === 'text';
  return (
    <div
      className={cx(own.setting, wide && own.wide, changed && own.changed)}
      data-setting={field.name}
    >
      <Control
        field={field}
        input={now}
        fault={fault}
        disabled={variable !== undefined}
        onInput={onInput}
      />
      <p className={own.notes}>
        {variable !== undefined && (
          <span className={own.fixed}>
            <Icon name="key" size={14} /> Fixed by <code>{variable}</code> on the server
          </span>
        )}
        {changed && (
          <Note onClick={() => onInput(shown(field, value))} action="Put back">
            Was {words(field.name, value)}
          </Note>
        )}
        {!changed && chosen.includes(field.name) && usual !== value && variable === undefined && (
          <Note onClick={() => onInput(shown(field, usual))} action="Use it">
            Default: {words(field.name, usual)}
          </Note>
        )}
      </p>
    </div>
  );
}

function Note({
  onClick,
  action,
  children,
}: {
  onClick: () => void;
  action: string;
  children: ReactNode;
}) {
  return (
    <span>
      {children} ·{' '}
      <button type="button" className={own.link} onClick={onClick}>
        {action}
      </button>
    </span>
  );
}

function Control({
  field,
  input,
  fault,
  disabled,
  onInput,
}: {
  field: SettingField;
  input: string | boolean;
  fault: string | undefined;
  disabled: boolean;
  onInput: (input: string | boolean) => void;
}) {
  if (field.kind === 'switch') {
    return (
      <Switch
        label={field.label}
        hint={field.hint}
        checked={input === true}
        disabled={disabled}
        onChange={onInput}
      />
    );
  }
  const common = {
    label: field.label,
    fault: fault ?? null,
    value: String(input),
    disabled,
    onChange: (event: { target: { value: string } }) => onInput(event.target.value),
  };
  switch (field.kind) {
    case 'lines':
      return (
        <TextArea
          {...common}
          rows={5}
          hint={`${field.hint ?? ''} ${(field.max - Array.from(String(input)).length).toLocaleString('en')} characters left.`}
        />
      );
    case 'choice':
      return (
        <Select {...common} hint={field.hint}>
          {field.of.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </Select>
      );
    case 'moment':
      return <Field {...common} type="datetime-local" hint={field.hint} />;
    case 'number':
    case 'bytes': {
      const zero = field.zero && `0: ${field.zero.toLowerCase()}.`;
      const unit = field.kind === 'bytes' ? 'GB' : field.unit;
      const hint = [zero, field.hint].filter(Boolean).join(' ');
      return (
        <Field
          {...common}
          inputMode="decimal"
          affix={unit && <span className={own.unit}>{unit}</span>}
          hint={hint || undefined}
        />
      );
    }
    default:
      return <Field {...common} hint={field.hint} />;
  }
}
