import { useEffect, useState } from 'react';
import { formatAgo, formatClock, formatExact, formatSpan } from '../lib/format';

/** Re-render every `ms`; gives the present moment. */
export function useNow(ms: number): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}

/** "3 hours ago", with the exact local time on hover and for machines. */
export function Ago({ at }: { at: string }) {
  const now = useNow(30_000);
  const then = new Date(at);
  return (
    <time dateTime={at} title={formatExact(then)}>
      {formatAgo(then, now)}
    </time>
  );
}

/** How long something has run, ticking; `offsetMs` is server clock minus ours. */
export function Uptime({ since, offsetMs = 0 }: { since: string; offsetMs?: number }) {
  const now = useNow(1000);
  const then = new Date(since);
  const seconds = (now.getTime() + offsetMs - then.getTime()) / 1000;
  return (
    <time
      className="tabular"
      dateTime={since}
      title={`Live since ${formatExact(then)}`}
      aria-label={`Live for ${formatSpan(seconds)}`}
    >
      {formatClock(seconds)}
    </time>
  );
}
