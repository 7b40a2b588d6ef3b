import { Dialog } from '../components/dialog';
import css from './player.module.css';

const SHORTCUTS: readonly (readonly [readonly string[], string])[] = [
  [['space', 'k'], 'Play or pause'],
  [['m'], 'Sound off or on'],
  [['↑', '↓'], 'Louder, quieter'],
  [['←', '→'], '5 seconds back, forward'],
  [['l'], 'Go to live'],
  [['f'], 'Full screen'],
  [['t'], 'Theatre mode'],
  [['i'], 'Picture in picture'],
  [['?'], 'This help'],
];

export function ShortcutsDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} title="Keyboard shortcuts" onClose={onClose}>
      <dl className={css.shortcuts}>
        {SHORTCUTS.map(([keys, does]) => (
          <div key={does}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
