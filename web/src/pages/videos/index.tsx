import type { ReactNode } from 'react';
import { useLocation, useSearch } from 'wouter';
import { api } from '../../api/client';
import { useSession } from '../../api/session';
import type { Page } from '../../api/types';
import { type Pages, usePages } from '../../api/use-pages';
import { useResource } from '../../api/use-resource';
import { type Video, type VideoKind, videos, type VideoSort, withQuery } from '../../api/videos';
import { Button, ButtonLink } from '../../components/button';
import { CardGhosts } from '../../components/card-ghosts';
import { Chip } from '../../components/chip';
import { InlineSelect } from '../../components/field';
import { LanguageFilter } from '../../components/language-select';
import { FailedPage } from '../../components/loaded';
import { More } from '../../components/more';
import { TitleSearch } from '../../components/title-search';
import { EmptyState } from '../../components/ui';
import { VideoCard } from '../../components/video-card';
import { useTitle } from '../../lib/title';
import css from './videos.module.css';

const KINDS: readonly (readonly [VideoKind | '', string])[] = [
  ['', 'All'],
  ['broadcast', 'Broadcasts'],
  ['highlight', 'Highlights'],
  ['upload', 'Uploads'],
];
const SORTS: readonly (readonly [VideoSort, string])[] = [
  ['newest', 'Newest first'],
  ['views', 'Most watched'],
  ['longest', 'Longest first'],
  ['shortest', 'Shortest first'],
  ['oldest', 'Oldest first'],
];

const isSort = (value: string | null): value is VideoSort => SORTS.some(([name]) => name === value);
const isKind = (value: string | null): value is VideoKind =>
  value !== '' && KINDS.some(([name]) => name === value);

/** The site's videos. What is asked for stands in the address, so that it can be shared and gone back to. */
export default function VideosPage() {
  useTitle('Videos');
  const [, navigate] = useLocation();
  const query = new URLSearchParams(useSearch());
  const sort = query.get('sort');
  const kind = query.get('kind');
  const filter = {
    q: query.get('q'),
    category: query.get('category'),
    tag: query.get('tag'),
    language: query.get('language'),
    kind: isKind(kind) ? kind : null,
    sort: isSort(sort) ? sort : 'newest',
  } as const;
  const list = usePages(`videos/${JSON.stringify(filter)}`, (cursor, signal) =>
    videos.list(filter, cursor, signal),
  );
  const narrowed = [filter.q, filter.category, filter.tag, filter.language, filter.kind].some(
    Boolean,
  );

  function ask(change: Partial<Record<keyof typeof filter, string | null>>) {
    const { sort: now, ...rest } = { ...filter, ...change };
    navigate(withQuery('/videos', { ...rest, sort: now === 'newest' ? null : now }), {
      replace: true,
    });
  }

  return (
    <div className={css.page}>
      <div className={css.head}>
        <h1>Videos</h1>
        <TitleSearch asked={filter.q ?? ''} onAsk={(q) => ask({ q })} />
      </div>
      {!narrowed && <Watching />}
      <div className={css.tools}>
        <div className={css.chips} role="group" aria-label="Kind of video">
          {KINDS.map(([value, name]) => (
            <Chip
              key={value}
              pressed={(filter.kind ?? '') === value}
              onClick={() => ask({ kind: value })}
            >
              {name}
            </Chip>
          ))}
          {(['category', 'tag'] as const).map((name) => {
            const value = filter[name];
            return (
              value && (
                <Chip
                  key={name}
                  pressed
                  label={`Only ${name} ${value}: show all again`}
                  onClick={() => ask({ [name]: null })}
                >
                  {name === 'tag' ? `#${value}` : value} <span aria-hidden="true">×</span>
                </Chip>
              )
            );
          })}
        </div>
        <div className={css.selects}>
          <LanguageFilter
            value={filter.language ?? ''}
            onChange={(language) => ask({ language })}
          />
          <InlineSelect
            label="Order"
            value={filter.sort}
            onChange={(event) => ask({ sort: event.target.value })}
          >
            {SORTS.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </InlineSelect>
        </div>
      </div>
      <VideoGrid
        of={list}
        label="Videos"
        empty={
          narrowed ? (
            <EmptyState
              title="No video is like that"
              actions={
                <Button look="quiet" onClick={() => navigate('/videos')}>
                  Show all videos
                </Button>
              }
            >
              Take a filter away, or look for the beginning of a word of its title.
            </EmptyState>
          ) : (
            <NoVideos />
          )
        }
      />
    </div>
  );
}

interface Watched extends Video {
  position_s: number;
}

/** What one has begun to watch. */
function Watching() {
  const { status } = useSession();
  const begun = useResource(`watching/${status}`, (signal) =>
    status === 'signed-in'
      ? api<Page<Watched>>('GET', '/me/watching?limit=4', { signal })
      : Promise.resolve({ items: [], next_cursor: null }),
  );
  if (!begun.data || begun.data.items.length === 0) return null;
  return (
    <section className={css.shelf} aria-label="Go on watching">
      <h2>Go on watching</h2>
      <ul className={css.grid}>
        {begun.data.items.map((video) => (
          <li key={video.id}>
            <VideoCard video={video} watched={video.position_s} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function NoVideos() {
  const session = useSession();
  return (
    <EmptyState
      title="No videos yet"
      actions={
        session.status === 'signed-in' ? (
          <>
            <ButtonLink href="/dashboard" look="primary" icon="broadcast">
              Go live
            </ButtonLink>
            <ButtonLink href="/dashboard/upload" look="quiet" icon="plus">
              Upload a video
            </ButtonLink>
          </>
        ) : (
          <ButtonLink href="/" look="quiet">
            See who is live
          </ButtonLink>
        )
      }
    >
      Every broadcast becomes a video the moment it ends, with its chat beside it.
    </EmptyState>
  );
}

/** Videos page by page: on their way, failed, none, or there. */
export function VideoGrid({
  of,
  label,
  empty,
  byline = true,
}: {
  of: Pages<Video>;
  label: string;
  empty: ReactNode;
  byline?: boolean;
}) {
  if (of.data === undefined) {
    return of.error === undefined ? (
      <GridSkeleton label={label} />
    ) : (
      <FailedPage of={of} title="The videos did not load" />
    );
  }
  if (of.data.items.length === 0) return empty;
  return (
    <>
      <ul className={css.grid} aria-label={label}>
        {of.data.items.map((video, index) => (
          <li key={video.id}>
            <VideoCard video={video} eager={index < 4} byline={byline} />
          </li>
        ))}
      </ul>
      <More of={of} label="Show more videos" />
    </>
  );
}

export function GridSkeleton({ label }: { label: string }) {
  return (
    <div className={css.grid} role="status" aria-label={`Loading: ${label}`}>
      <CardGhosts />
    </div>
  );
}
