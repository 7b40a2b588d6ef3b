import { useSyncExternalStore } from 'react';
import { cx } from '../lib/cx';
import { Button } from './button';
import css from './ui.module.css';

interface ToastItem {
  id: number;
  text: string;
  danger: boolean;
}

/** Long enough to read twice; errors stay until they are closed. */
const LIFE_MS = 5000;

let items: readonly ToastItem[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function set(next: readonly ToastItem[]) {
  items = next;
  listeners.forEach((listener) => listener());
}

function dismiss(id: number) {
  set(items.filter((item) => item.id !== id));
}

export function toast(text: string, { danger = false } = {}) {
  const id = nextId++;
  set([...items.slice(-2), { id, text, danger }]);
  if (!danger) setTimeout(() => dismiss(id), LIFE_MS);
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => items,
  );
  return (
    <div className={css.toasts} role="status" aria-live="polite">
      {shown.map((item) => (
        <div key={item.id} className={cx(css.toast, item.danger && css.toastDanger)}>
          <span>{item.text}</span>
          <Button
            look="bare"
            small
            icon="close"
            aria-label="Dismiss"
            onClick={() => dismiss(item.id)}
          />
        </div>
      ))}
    </div>
  );
}
