import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import type { Emote } from '../api/moderation';
import { Icon } from '../components/icon';
import css from './chat.module.css';
import { EmoteImage } from './message-row';
import type { EmoteSets } from './use-emotes';

const COLUMNS = 7;

/** All emotes of the channel and of the site. Arrows walk, Enter takes, Escape leaves. */
export function EmotePicker({
  sets,
  channelName,
  onPick,
  onClose,
}: {
  sets: EmoteSets;
  channelName: string;
  onPick: (emote: Emote) => void;
  onClose: () => void;
}) {
  const root = useRef<HTMLDivElement>(null);
  const [wanted, setWanted] = useState('');
  const match = (emote: Emote) => emote.code.toLowerCase().includes(wanted.trim().toLowerCase());
  const groups = [
    { name: channelName, emotes: sets.channel.filter(match) },
    { name: 'Everywhere', emotes: sets.global.filter(match) },
  ].filter((group) => group.emotes.length > 0);

  useEffect(() => {
    root.current?.querySelector('input')?.focus();
    const away = (event: PointerEvent) => {
      const target = event.target as Element;
      if (!root.current?.contains(target) && !target.closest('[data-emote-toggle]')) onClose();
    };
    document.addEventListener('pointerdown', away);
    return () => document.removeEventListener('pointerdown', away);
  }, [onClose]);

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'Escape') {
      event.stopPropagation();
      onClose();
      return;
    }
    const buttons = [...(root.current?.querySelectorAll<HTMLElement>('[data-emote]') ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
    if (step === undefined || (at < 0 && event.key !== 'ArrowDown')) return;
    event.preventDefault();
    const next = at < 0 ? 0 : at + step;
    if (next < 0) root.current?.querySelector('input')?.focus();
    else buttons[Math.min(next, buttons.length - 1)]?.focus();
  }

  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- arrows walk, Escape closes
    <div
      ref={root}
      className={css.picker}
      role="dialog"
      tabIndex={-1}
      aria-label="Emotes"
      onKeyDown={onKeyDown}
    >
      <label className={css.pickerSearch}>
        <Icon name="search" size={16} />
        <input
          type="search"
          placeholder="Find an emote"
          aria-label="Find an emote"
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
          onKeyDown={(event) => {
            const first = groups[0]?.emotes[0];
            if (event.key === 'Enter' && first) {
              event.preventDefault();
              onPick(first);
            }
          }}
        />
      </label>
      <div className={css.pickerScroll}>
        {groups.length === 0 && (
          <p className={css.nothing}>
            {sets.all.length === 0 ? 'The emotes did not load.' : 'No emote of that name.'}
          </p>
        )}
        {groups.map((group) => (
          <section key={group.name} aria-label={group.name}>
            <h3>{group.name}</h3>
            <div className={css.pickerGrid}>
              {group.emotes.map((emote) => (
                <button
                  key={emote.id}
                  type="button"
                  data-emote=""
                  title={emote.code}
                  onClick={() => onPick(emote)}
                >
                  <EmoteImage id={emote.id} code={emote.code} />
                </button>
              ))}
            </div>
          </section>
        ))}
      </div>
    </div>
  );
}
