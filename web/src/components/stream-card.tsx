import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import type { DirectoryItem } from '../api/types';
import { formatCount } from '../lib/format';
import { LogoMark } from './logo';
import css from './stream-card.module.css';
import { Uptime } from './time';
import { Avatar, Pill, Tag } from './ui';

/**
 * The latest picture of a running stream; each has an address of its own. A new one is loaded aside and shown once it is there, so
 * the card never flashes; a picture that fails leaves the last one, or the unlit mark.
 */
function Thumbnail({ url, eager }: { url: string | null; eager: boolean }) {
  const [shown, setShown] = useState<string | null>(null);
  useEffect(() => {
    if (url === null) return;
    let wanted = true;
    const next = new Image();
    next.src = url;
    next.decode().then(
      () => {
        if (wanted) setShown(url);
      },
      () => undefined,
    );
    return () => {
      wanted = false;
    };
  }, [url]);
  if (shown === null) {
    return (
      <span className={css.blank}>
        <LogoMark size={48} lit={false} />
      </span>
    );
  }
  return <img className={css.image} src={shown} alt="" loading={eager ? 'eager' : 'lazy'} />;
}

export function StreamCard({ item, eager = false }: { item: DirectoryItem; eager?: boolean }) {
  const { channel } = item;
  return (
    <article className={css.card}>
      <div className={css.picture}>
        <Thumbnail url={item.thumbnail_url} eager={eager} />
        <span className={css.top}>
          {item.status === 'reconnecting' ? (
            <Pill>Reconnecting</Pill>
          ) : (
            <Pill tone="live" dot>
              Live
            </Pill>
          )}
        </span>
        <span className={css.bottom}>
          <Pill>
            {formatCount(item.viewers)} {item.viewers === 1 ? 'viewer' : 'viewers'}
          </Pill>
          <Pill>
            <Uptime since={item.started_at} />
          </Pill>
        </span>
      </div>
      <div className={css.body}>
        <Avatar name={channel.display_name} />
        <div className={css.words}>
          <h2 className={css.title} dir="auto">
            <Link href={`/${channel.login}`} className={css.link} title={item.title}>
              {item.title || `${channel.display_name} is live`}
            </Link>
          </h2>
          <p className={css.name} dir="auto">
            {channel.display_name}
          </p>
          <div className={css.tags}>
            {item.category && <Tag>{item.category}</Tag>}
            {item.tags.slice(0, 3).map((tag) => (
              <Tag key={tag}>{tag}</Tag>
            ))}
          </div>
        </div>
      </div>
    </article>
  );
}
