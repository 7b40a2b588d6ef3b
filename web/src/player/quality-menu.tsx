import { useEffect, useId, useRef, type KeyboardEvent } from 'react';
import { Icon } from '../components/icon';
import { cx } from '../components/ui';
import type { PlayerSnapshot, QualityChoice } from './engine';
import css from './player.module.css';

interface Entry {
  choice: QualityChoice;
  name: string;
  detail: string;
}

function entries({ qualities, current, choice, hasAudioOnly }: PlayerSnapshot): Entry[] {
  const now = qualities.find(({ index }) => index === current);
  const auto: Entry = {
    choice: 'auto',
    name: 'Auto',
    detail: choice === 'auto' && now ? `now ${now.name}` : '',
  };
  const rungs = [...qualities]
    .reverse()
    .map(({ index, name, detail }): Entry => ({ choice: index, name, detail }));
  const audio: Entry = { choice: 'audio', name: 'Sound only', detail: '' };
  return [auto, ...rungs, ...(hasAudioOnly ? [audio] : [])];
}

/** The quality menu: a menu button of radio items after the ARIA pattern. */
export function QualityMenu({
  snapshot,
  open,
  onOpen,
  onChoose,
  onHelp,
}: {
  snapshot: PlayerSnapshot;
  open: boolean;
  onOpen: (open: boolean) => void;
  onChoose: (choice: QualityChoice) => void;
  onHelp?: () => void;
}) {
  const root = useRef<HTMLDivElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    root.current?.querySelector<HTMLElement>('[aria-checked=true]')?.focus();
    const away = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) onOpen(false);
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [open, onOpen]);

  function close() {
    onOpen(false);
    root.current?.querySelector<HTMLElement>('[aria-haspopup]')?.focus();
  }

  function onKeyDown(event: KeyboardEvent) {
    const items = [...(root.current?.querySelectorAll<HTMLElement>('[role^=menuitem]') ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step) items[(at + step + items.length) % items.length]?.focus();
    else if (event.key === 'Escape') close();
    else if (event.key === 'Tab') onOpen(false);
    else return;
    // The arrows are also the player's volume keys.
    event.stopPropagation();
    if (event.key !== 'Tab') event.preventDefault();
  }

  return (
    <div ref={root} className={css.menuRoot}>
      <button
        type="button"
        className={css.plain}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={id}
        aria-label="Quality"
        title="Quality"
        onClick={() => onOpen(!open)}
      >
        <Icon name="settings" size={22} />
      </button>
      {open && (
        <div
          id={id}
          role="menu"
          tabIndex={-1}
          aria-label="Quality"
          className={css.menu}
          onKeyDown={onKeyDown}
        >
          <p className={css.menuTitle} role="presentation">
            Quality
          </p>
          {entries(snapshot).map(({ choice, name, detail }) => (
            <button
              key={String(choice)}
              type="button"
              role="menuitemradio"
              aria-checked={snapshot.choice === choice}
              tabIndex={-1}
              className={css.menuItem}
              onClick={() => {
                onChoose(choice);
                close();
              }}
            >
              <span className={cx(css.check, snapshot.choice !== choice && css.unchecked)}>
                <Icon name="check" size={16} />
              </span>
              <span>{name}</span>
              <span className={css.menuDetail}>{detail}</span>
            </button>
          ))}
          {onHelp && (
            <button
              type="button"
              role="menuitem"
              tabIndex={-1}
              className={cx(css.menuItem, css.menuApart)}
              onClick={() => {
                onOpen(false);
                onHelp();
              }}
            >
              <span className={css.check}>
                <Icon name="keyboard" size={16} />
              </span>
              <span>Keyboard shortcuts</span>
              <span className={css.menuDetail}>?</span>
            </button>
          )}
        </div>
      )}
    </div>
  );
}
