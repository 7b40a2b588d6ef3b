import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { useInstance } from '../api/instance';
import { cx } from '../lib/cx';
import { Icon } from './icon';
import css from './banner.module.css';

const LEVELS = { info: css.info, warning: css.warning, danger: css.danger };
/** A timer takes no more than this. */
const LONGEST_MS = 2 ** 31 - 1;

/** What the site's admins want everybody to know, on every page. */
export function SiteBanner() {
  const banner = useInstance()?.banner ?? null;
  const until = banner?.until ?? null;
  const [over, setOver] = useState<string | null>(null);
  useEffect(() => {
    if (until === null) return;
    const left = Math.max(0, Date.parse(until) - Date.now());
    const timer = setTimeout(() => setOver(until), Math.min(left, LONGEST_MS));
    return () => clearTimeout(timer);
  }, [until]);
  const shown = banner !== null && (until === null || over !== until);
  const bar = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    if (!shown || bar.current === null) return;
    // What fills the rest of the screen, the chat above all, leaves room for it.
    const { style } = document.documentElement;
    const measure = new ResizeObserver(([entry]) => {
      style.setProperty('--banner-h', `${entry?.borderBoxSize[0]?.blockSize ?? 0}px`);
    });
    measure.observe(bar.current);
    return () => {
      measure.disconnect();
      style.removeProperty('--banner-h');
    };
  }, [shown]);
  if (!shown) return null;
  return (
    <aside
      ref={bar}
      className={cx(css.banner, LEVELS[banner.level])}
      aria-label="Notice of this site"
    >
      <Icon name={banner.level === 'info' ? 'info' : 'warning'} size={18} />
      <p>{banner.text}</p>
    </aside>
  );
}
