import { type KeyboardEvent, type RefObject, useEffect, useRef } from 'react';

/**
 * A menu button's menu after the ARIA pattern: it takes the keyboard when it opens, arrows walk, Escape
 * and Tab leave, and so does a press anywhere else. `first` is what has the keyboard at first.
 */
export function useMenu(
  open: boolean,
  onOpen: (open: boolean) => void,
  first = '[role^=menuitem]',
): {
  /** Of the element that holds the button and the menu. */
  root: RefObject<HTMLDivElement | null>;
  onKeyDown: (event: KeyboardEvent) => void;
  /** Close it and give the keyboard back to the button. */
  close: () => void;
} {
  const root = useRef<HTMLDivElement>(null);
  const tell = useRef(onOpen);
  useEffect(() => {
    tell.current = onOpen;
  });

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>(first)?.focus();
    const away = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) tell.current(false);
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [open, first]);

  function close() {
    onOpen(false);
    root.current?.querySelector<HTMLElement>('[aria-haspopup]')?.focus();
  }

  function onKeyDown(event: KeyboardEvent) {
    const items = [...(root.current?.querySelectorAll<HTMLElement>('[role^=menuitem]') ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to: Record<string, number> = {
      ArrowDown: (at + 1) % items.length,
      ArrowUp: (at - 1 + items.length) % items.length,
      Home: 0,
      End: items.length - 1,
    };
    const next = to[event.key];
    if (next !== undefined) {
      event.preventDefault();
      items[next]?.focus();
    } else if (event.key === 'Escape') {
      event.preventDefault();
      close();
    } else if (event.key === 'Tab') onOpen(false);
  }

  return { root, onKeyDown, close };
}
