import {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode,
} from 'react';
import { Icon } from '../components/icon';
import css from './chat.module.css';
import type { Line } from './room';
import { Heights } from './virtual';

/** Drawn beyond what can be seen, px. */
const MARGIN_PX = 240;
/** This close to the end counts as reading the newest, px. */
const END_PX = 36;

export interface MessageListProps {
  lines: readonly Line[];
  /** Messages that came so far: how many are new is counted from where the reader paused. */
  arrived: number;
  /** Whether it stands still because its reader scrolled up. */
  onPause: (paused: boolean) => void;
  row: (line: Line) => ReactNode;
  /** A key pressed on the line that has the keyboard. */
  onLineKey?: (line: Line, event: KeyboardEvent) => void;
  empty: ReactNode;
  label: string;
}

/**
 * The room's lines. Only those in view are in the page; the newest is followed until the reader scrolls
 * up, and then what they read stays where it is.
 */
export function MessageList({
  lines,
  arrived,
  onPause,
  row,
  onLineKey,
  empty,
  label,
}: MessageListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const heights = useRef(new Heights());
  const anchor = useRef<{ key: string; into: number } | null>(null);
  const [follow, setFollow] = useState(true);
  const [view, setView] = useState({ top: 0, height: 600, width: 0 });
  const [, setMeasured] = useState(0);
  const [active, setActive] = useState<string | null>(null);
  const [seen, setSeen] = useState(0);
  const keys = useMemo(() => lines.map((line) => line.key), [lines]);

  const following = useCallback(
    (next: boolean) => {
      setFollow((before) => {
        if (before !== next) queueMicrotask(() => onPause(!next));
        return next;
      });
    },
    [onPause],
  );
  useEffect(() => {
    if (follow) setSeen(arrived);
  }, [follow, arrived]);

  const window_ = follow
    ? heights.current.windowAtEnd(keys, view.height, MARGIN_PX)
    : heights.current.windowOf(keys, view.top, view.height, MARGIN_PX);

  /** Where following has put the list. */
  const placed = useRef(0);
  // After every drawing: it ends when all that is drawn has been measured.
  // oxlint-disable-next-line react-hooks/exhaustive-deps
  useLayoutEffect(() => {
    const [box, rows] = [scroller.current, content.current];
    if (!box || !rows) return;
    let news = false;
    for (const child of rows.children) {
      const key = (child as HTMLElement).dataset['key'];
      if (key !== undefined) {
        news = heights.current.set(key, child.getBoundingClientRect().height) || news;
      }
    }
    heights.current.keep(keys);
    if (follow) {
      box.scrollTop = box.scrollHeight;
      placed.current = box.scrollTop;
    } else if (anchor.current) {
      const top = heights.current.topOf(keys, anchor.current.key);
      const wanted = top + anchor.current.into;
      if (top >= 0 && Math.abs(box.scrollTop - wanted) > 1) box.scrollTop = wanted;
    }
    if (news) setMeasured((n) => n + 1);
  });

  useEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const observer = new ResizeObserver(() => {
      setView((before) => {
        if (before.width !== 0 && before.width !== box.clientWidth) heights.current.clear();
        return { top: box.scrollTop, height: box.clientHeight, width: box.clientWidth };
      });
    });
    observer.observe(box);
    return () => observer.disconnect();
  }, []);

  function onScroll() {
    const box = scroller.current;
    if (!box) return;
    // What came since is below: only who went up reads back.
    if (follow && box.scrollTop >= placed.current - 1) return;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < END_PX;
    anchor.current = atEnd ? null : heights.current.anchorAt(keys, box.scrollTop);
    following(atEnd);
    if (!atEnd) setView((before) => ({ ...before, top: box.scrollTop }));
  }

  function focusLine(key: string) {
    setActive(key);
    const find = () =>
      content.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
    requestAnimationFrame(() => {
      const found = find();
      found?.focus({ preventScroll: true });
      found?.scrollIntoView({ block: 'nearest' });
    });
  }

  function onKeyDown(event: KeyboardEvent) {
    const at = active === null ? -1 : keys.indexOf(active);
    const onLine = event.target !== scroller.current;
    const to: Record<string, number> = {
      ArrowUp: at < 0 ? keys.length - 1 : Math.max(0, at - 1),
      ArrowDown: at < 0 ? keys.length - 1 : Math.min(keys.length - 1, at + 1),
      Home: Math.max(0, window_.start),
      End: keys.length - 1,
    };
    const next = to[event.key];
    const key = next === undefined ? undefined : keys[next];
    if (key !== undefined) {
      event.preventDefault();
      if (event.key === 'End') following(true);
      focusLine(key);
      return;
    }
    const line = onLine ? lines[at] : undefined;
    if (line) onLineKey?.(line, event);
  }

  const fresh = arrived - seen;
  return (
    <div className={css.listFrame}>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- arrows walk through it */}
      <div
        ref={scroller}
        className={css.list}
        role="log"
        aria-label={label}
        aria-live={follow ? 'polite' : 'off'}
        aria-relevant="additions"
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
        tabIndex={0}
        onScroll={onScroll}
        onKeyDown={onKeyDown}
        data-testid="messages"
      >
        {lines.length === 0 ? (
          <div className={css.nothing}>{empty}</div>
        ) : (
          <>
            <div style={{ height: window_.before }} aria-hidden="true" />
            <div ref={content}>
              {lines.slice(window_.start, window_.end).map((line) => (
                <div
                  key={line.key}
                  data-key={line.key}
                  tabIndex={-1}
                  className={css.row}
                  data-active={line.key === active || undefined}
                >
                  {row(line)}
                </div>
              ))}
            </div>
            <div style={{ height: window_.after }} aria-hidden="true" />
          </>
        )}
      </div>
      {!follow && (
        <button type="button" className={css.newer} onClick={() => following(true)}>
          <Icon name="down" size={16} />
          {fresh > 0
            ? `${fresh} new message${fresh === 1 ? '' : 's'}`
            : 'Chat paused · to the newest'}
        </button>
      )}
    </div>
  );
}
