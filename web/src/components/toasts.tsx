import { useSyncExternalStore } from 'react';
import { cx } from '../lib/cx';
import { Button } from './button';
import css from './ui.module.css';

interface ToastItem {
  id: number;
  text: string;
  danger: boolean;
  action?: ToastAction;
}

/** Something that may be done about it for as long as it is shown. */
interface ToastAction {
  label: string;
  run: () => void;
}

/** Long enough to read twice; errors stay until they are closed. */
const LIFE_MS = 5000;
/** Long enough to change one's mind. */
const ACTION_LIFE_MS = 12_000;

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

export function toast(
  text: string,
  { danger = false, action }: { danger?: boolean; action?: ToastAction } = {},
) {
  const id = nextId++;
  set([...items.slice(-2), { id, text, danger, action }]);
  if (!danger) setTimeout(() => dismiss(id), action ? ACTION_LIFE_MS : LIFE_MS);
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
          {item.action && (
            <Button
              small
              look="quiet"
              onClick={() => {
                item.action?.run();
                dismiss(item.id);
              }}
            >
              {item.action.label}
            </Button>
          )}
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
