import type { ReactNode } from 'react';
import css from './chip.module.css';

/** One choice of a row that narrows a list. */
export function Chip({
  pressed,
  label,
  onClick,
  children,
}: {
  pressed: boolean;
  /** What it does, where its text alone does not say so. */
  label?: string;
  onClick: () => void;
  children: ReactNode;
}) {
  return (
    <button
      type="button"
      className={css.chip}
      aria-pressed={pressed}
      aria-label={label}
      onClick={onClick}
    >
      {children}
    </button>
  );
}
