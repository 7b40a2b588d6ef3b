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

/** The speeds of a recording. */
export const RATES = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

/** What one may choose of a player: quality, and of a recording its speed and captions. */
export function QualityMenu({
  snapshot,
  open,
  onOpen,
  onChoose,
  onRate,
  onCaption,
  onHelp,
}: {
  snapshot: PlayerSnapshot;
  open: boolean;
  onOpen: (open: boolean) => void;
  onChoose: (choice: QualityChoice) => void;
  onRate?: (rate: number) => void;
  onCaption?: (index: number) => void;
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
        aria-label={onRate ? 'Quality and speed' : 'Quality'}
        title={onRate ? 'Quality and speed' : 'Quality'}
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
            <Choice
              key={String(choice)}
              name={name}
              detail={detail}
              checked={snapshot.choice === choice}
              onChoose={() => {
                onChoose(choice);
                close();
              }}
            />
          ))}
          {onRate && (
            <>
              <p className={css.menuTitle} role="presentation">
                Speed
              </p>
              <div className={css.rates}>
                {RATES.map((rate) => (
                  <button
                    key={rate}
                    type="button"
                    role="menuitemradio"
                    aria-checked={snapshot.rate === rate}
                    aria-label={rate === 1 ? 'Normal speed' : `${rate} times`}
                    tabIndex={-1}
                    className={css.rate}
                    onClick={() => {
                      onRate(rate);
                      close();
                    }}
                  >
                    {rate}×
                  </button>
                ))}
              </div>
            </>
          )}
          {onCaption && snapshot.captions.length > 0 && (
            <>
              <p className={css.menuTitle} role="presentation">
                Captions
              </p>
              {[{ index: -1, name: 'Off' }, ...snapshot.captions].map(({ index, name }) => (
                <Choice
                  key={index}
                  name={name}
                  checked={snapshot.caption === index}
                  onChoose={() => {
                    onCaption(index);
                    close();
                  }}
                />
              ))}
            </>
          )}
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

function Choice({
  name,
  detail = '',
  checked,
  onChoose,
}: {
  name: string;
  detail?: string;
  checked: boolean;
  onChoose: () => void;
}) {
  return (
    <button
      type="button"
      role="menuitemradio"
      aria-checked={checked}
      tabIndex={-1}
      className={css.menuItem}
      onClick={onChoose}
    >
      <span className={cx(css.check, !checked && css.unchecked)}>
        <Icon name="check" size={16} />
      </span>
      <span>{name}</span>
      <span className={css.menuDetail}>{detail}</span>
    </button>
  );
}
