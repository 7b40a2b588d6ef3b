import { Dialog } from '../components/dialog';
import css from './player.module.css';

type Row = readonly [readonly string[], string];
const COMMON: readonly Row[] = [
  [['space', 'k'], 'Play or pause'],
  [['m'], 'Sound off or on'],
  [['↑', '↓'], 'Louder, quieter'],
  [['←', '→'], '5 seconds back, forward'],
  [['j', 'l'], '10 seconds back, forward'],
];
const WINDOW: readonly Row[] = [
  [['f'], 'Full screen'],
  [['t'], 'Theatre mode'],
  [['i'], 'Picture in picture'],
  [['?'], 'This help'],
];
const ROWS: Record<'live' | 'video', readonly Row[]> = {
  live: [
    ...COMMON.slice(0, 4),
    [['j'], '10 seconds back'],
    [['Home'], 'To the start of the broadcast'],
    [['l'], 'Go to live'],
    ...WINDOW,
  ],
  video: [
    ...COMMON,
    [['0', '…', '9'], 'To a tenth of the video'],
    [['Home', 'End'], 'To its start, its end'],
    [['<', '>'], 'Slower, faster'],
    [[',', '.'], 'One picture back, forward, while paused'],
    [['c'], 'Captions, where there are any'],
    ...WINDOW,
  ],
};

export function ShortcutsDialog({
  open,
  kind,
  onClose,
}: {
  open: boolean;
  kind: 'live' | 'video';
  onClose: () => void;
}) {
  return (
    <Dialog open={open} title="Keyboard shortcuts" onClose={onClose}>
      <dl className={css.shortcuts}>
        {ROWS[kind].map(([keys, does]) => (
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
