import { useState } from 'react';
import { Link } from 'wouter';
import { ApiError, api } from '../api/client';
import { useSession } from '../api/session';
import type { Channel } from '../api/types';
import { usePages } from '../api/use-pages';
import { useResource } from '../api/use-resource';
import { clips, videos, type VideoSort } from '../api/videos';
import { ButtonLink } from '../components/button';
import { InlineSelect } from '../components/field';
import { FollowButton, useFollowers } from '../components/follow-button';
import { Failed } from '../components/loaded';
import { More } from '../components/more';
import { PageTabs } from '../components/page-tabs';
import { Avatar, EmptyState, Pill, Skeleton } from '../components/ui';
import { ClipCard, VideoCard } from '../components/video-card';
import { formatCount, formatExact } from '../lib/format';
import { useTitle } from '../lib/title';
import css from './channel-tabs.module.css';
import { NotFoundPage } from './not-found';
import { GridSkeleton, VideoGrid } from './videos';
import grid from './videos/videos.module.css';

const TABS = ['', 'videos', 'clips', 'about'] as const;
const NAMES = { '': 'Home', videos: 'Videos', clips: 'Clips', about: 'About' };
export type ChannelTab = 'videos' | 'clips' | 'about';

export function ChannelNav({ login, at }: { login: string; at: '' | ChannelTab }) {
  const to = (tab: '' | ChannelTab) => (tab === '' ? `/${login}` : `/${login}/${tab}`);
  return (
    <PageTabs
      label="Channel"
      at={to(at)}
      pages={TABS.map((tab) => ({ href: to(tab), name: NAMES[tab] }))}
    />
  );
}

/** A channel's videos, clips and what it says of itself. */
export default function ChannelTabPage({ login, tab }: { login: string; tab: ChannelTab }) {
  const channel = useResource(`channel/${login}`, (signal) =>
    api<Channel>('GET', `/channels/${login}`, { signal }),
  );
  const found = channel.data;
  const name = found?.display_name ?? login;
  useTitle(`${name}: ${tab}`);
  if (channel.error instanceof ApiError && channel.error.status === 404) {
    return <NotFoundPage what="channel" />;
  }
  return (
    <div className={grid.page}>
      {found ? (
        <Head channel={found} />
      ) : channel.error !== undefined ? (
        <Failed of={channel} title="The channel's details did not load" />
      ) : (
        <Skeleton className={css.ghostHead} />
      )}
      <ChannelNav login={login} at={tab} />
      {tab === 'videos' && <Videos login={login} name={name} />}
      {tab === 'clips' && <Clips login={login} name={name} />}
      {tab === 'about' && found && <About channel={found} />}
    </div>
  );
}

function Head({ channel }: { channel: Channel }) {
  const { user } = useSession();
  const followers = useFollowers(channel.login, channel.followers);
  return (
    <header className={css.head}>
      <Avatar name={channel.display_name} size="large" live={channel.live} />
      <div>
        <h1 dir="auto">{channel.display_name}</h1>
        <p>
          @{channel.login} · {formatCount(followers)} {followers === 1 ? 'follower' : 'followers'}
        </p>
      </div>
      <div className={css.side}>
        {channel.live && (
          <ButtonLink href={`/${channel.login}`} look="primary" small icon="broadcast">
            Live now
          </ButtonLink>
        )}
        {user?.login === channel.login ? (
          <ButtonLink href="/dashboard/videos" look="quiet" small icon="settings">
            Manage videos
          </ButtonLink>
        ) : (
          <FollowButton channel={channel.login} name={channel.display_name} />
        )}
      </div>
    </header>
  );
}

function Videos({ login, name }: { login: string; name: string }) {
  const [sort, setSort] = useState<VideoSort>('newest');
  const list = usePages(`channel-videos/${login}/${sort}`, (cursor, signal) =>
    videos.list({ channel: login, sort }, cursor, signal),
  );
  return (
    <>
      <div className={css.tools}>
        <InlineSelect
          label="Order"
          value={sort}
          onChange={(event) => setSort(event.target.value as VideoSort)}
        >
          <option value="newest">Newest first</option>
          <option value="views">Most watched</option>
          <option value="longest">Longest first</option>
        </InlineSelect>
      </div>
      <VideoGrid
        of={list}
        label={`Videos of ${name}`}
        byline={false}
        empty={
          <EmptyState title={`${name} has no videos yet`}>
            A broadcast is here from its first seconds on, and stays.
          </EmptyState>
        }
      />
    </>
  );
}

function Clips({ login, name }: { login: string; name: string }) {
  const [sort, setSort] = useState<'newest' | 'views'>('views');
  const list = usePages(`channel-clips/${login}/${sort}`, (cursor, signal) =>
    clips.list({ channel: login, sort }, cursor, signal),
  );
  return (
    <>
      <div className={css.tools}>
        <InlineSelect
          label="Order"
          value={sort}
          onChange={(event) => setSort(event.target.value as 'newest' | 'views')}
        >
          <option value="views">Most watched</option>
          <option value="newest">Newest first</option>
        </InlineSelect>
      </div>
      {list.data === undefined ? (
        list.error === undefined ? (
          <GridSkeleton label="Clips" />
        ) : (
          <Failed of={list} />
        )
      ) : list.data.items.length === 0 ? (
        <EmptyState title="No clips yet">
          Cut the best moments of {name}: press Clip while you watch.
        </EmptyState>
      ) : (
        <>
          <ul className={grid.grid} aria-label={`Clips of ${name}`}>
            {list.data.items.map((clip) => (
              <li key={clip.id}>
                <ClipCard clip={clip} byline={false} />
              </li>
            ))}
          </ul>
          <More of={list} label="Show more clips" />
        </>
      )}
    </>
  );
}

function About({ channel }: { channel: Channel }) {
  return (
    <section className={css.about} aria-label={`About ${channel.display_name}`}>
      <p>{channel.bio || `${channel.display_name} has not said anything about themselves yet.`}</p>
      <dl>
        {channel.category && (
          <div>
            <dt>Mostly</dt>
            <dd>{channel.category}</dd>
          </div>
        )}
        {channel.last_stream_at && (
          <div>
            <dt>Last live</dt>
            <dd>{formatExact(new Date(channel.last_stream_at))}</dd>
          </div>
        )}
        {channel.tags.length > 0 && (
          <div>
            <dt>Tags</dt>
            <dd className={css.tags}>
              {channel.tags.map((tag) => (
                <Pill key={tag}>{tag}</Pill>
              ))}
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}

/** The newest videos, below the player of a channel. */
export function Recent({ login, name }: { login: string; name: string }) {
  const recent = useResource(`recent/${login}`, (signal) =>
    videos.list({ channel: login }, null, signal),
  );
  const items = recent.data?.items.filter(({ status }) => status !== 'live').slice(0, 4) ?? [];
  if (items.length === 0) return null;
  return (
    <section className={css.recent} aria-label={`Newest videos of ${name}`}>
      <h2>
        <Link href={`/${login}/videos`}>Videos</Link>
      </h2>
      <ul className={grid.grid}>
        {items.map((video) => (
          <li key={video.id}>
            <VideoCard video={video} byline={false} />
          </li>
        ))}
      </ul>
    </section>
  );
}
