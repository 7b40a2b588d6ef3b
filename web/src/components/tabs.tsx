import { useId } from 'react';
import { cx } from '../lib/cx';
import css from './ui.module.css';

/** Tabs after the ARIA pattern: arrows move and select, only the selected one is a tab stop. */
export function Tabs<T extends string>({
  label,
  tabs,
  value,
  onChange,
  below = false,
}: {
  label: string;
  tabs: readonly { value: T; label: string }[];
  value: T;
  onChange: (value: T) => void;
  /** Below tabs of the page. */
  below?: boolean;
}) {
  const base = useId();
  return (
    <div
      role="tablist"
      tabIndex={-1}
      aria-label={label}
      className={cx(css.tabs, below && css.subTabs)}
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
