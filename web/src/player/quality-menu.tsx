import { useId } from 'react';
import { Icon } from '../components/icon';
import { useMenu } from '../components/use-menu';
import { cx } from '../lib/cx';
import type { PlayerSnapshot, QualityChoice } from './snapshot';
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

/** The quality menu: a menu button of radio items. */
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
  const id = useId();
  const { root, onKeyDown, close } = useMenu(open, onOpen, '[aria-checked=true]');

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
