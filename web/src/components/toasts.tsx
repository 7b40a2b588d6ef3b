import { type FocusEvent, useEffect, useRef, useSyncExternalStore } from 'react';
import { cx } from '../lib/cx';
import { Button } from './button';
import css from './ui.module.css';

interface ToastItem {
  id: number;
  text: string;
  danger: boolean;
  action?: ToastAction;
  /** How long it is shown, ms; null: until it is closed. */
  life: number | null;
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
/** Somebody has the pointer or the keyboard on them: none goes by itself. */
let held = false;
const timers = new Map<number, ReturnType<typeof setTimeout>>();
const listeners = new Set<() => void>();

function set(next: readonly ToastItem[]) {
  items = next;
  listeners.forEach((listener) => listener());
}

function dismiss(id: number) {
  set(items.filter((item) => item.id !== id));
  // The pointer does not leave what is no longer there.
  hold(false);
}

function hold(on: boolean) {
  held = on;
  timers.forEach((timer) => clearTimeout(timer));
  timers.clear();
  if (!on) items.forEach(live);
}

function live({ id, life }: ToastItem) {
  if (life === null || held) return;
  const timer = setTimeout(() => dismiss(id), life);
  timers.set(id, timer);
}

export function toast(
  text: string,
  { danger = false, action }: { danger?: boolean; action?: ToastAction } = {},
) {
  const life = danger ? null : action ? ACTION_LIFE_MS : LIFE_MS;
  const item = { id: nextId++, text, danger, action, life };
  set([...items.slice(-2), item]);
  live(item);
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => items,
  );
  const cameFrom = useRef<HTMLElement | null>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const layer = box.current;
    // Where a browser has no layers, they are behind an open dialog.
    if (layer === null || !('showPopover' in layer)) return;
    // Above a dialog that was opened since: what comes last is the topmost.
    if (layer.matches(':popover-open')) layer.hidePopover();
    if (shown.length > 0) layer.showPopover();
  }, [shown]);

  function close(id: number) {
    dismiss(id);
    // The keyboard goes back to where it was.
    const back = cameFrom.current;
    (back?.isConnected ? back : document.getElementById('main'))?.focus({ preventScroll: true });
  }
  function onFocus({ relatedTarget }: FocusEvent) {
    hold(true);
    if (!box.current?.contains(relatedTarget)) {
      cameFrom.current = relatedTarget instanceof HTMLElement ? relatedTarget : null;
    }
  }

  return (
    <div ref={box} popover="manual" className={css.toasts} role="status" aria-live="polite">
      {shown.map((item) => (
        <div
          key={item.id}
          className={cx(css.toast, item.danger && css.toastDanger)}
          onPointerEnter={() => hold(true)}
          onPointerLeave={() => hold(false)}
          onFocus={onFocus}
          onBlur={() => hold(false)}
        >
          <span>{item.text}</span>
          {item.action && (
            <Button
              small
              look="quiet"
              onClick={() => {
                item.action?.run();
                close(item.id);
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
            onClick={() => close(item.id)}
          />
        </div>
      ))}
    </div>
  );
}
