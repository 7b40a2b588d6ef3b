import { useRef, useState } from 'react';
import { Link } from 'wouter';
import { ApiError } from '../../../api/client';
import { videos, type MyVideo, type Visibility } from '../../../api/videos';
import { attempt } from '../../../chat/cards';
import { Button, ButtonLink } from '../../../components/button';
import { Dialog } from '../../../components/dialog';
import { InlineSelect } from '../../../components/field';
import { Ago } from '../../../components/time';
import { toast } from '../../../components/toasts';
import { Pill } from '../../../components/ui';
import { KINDS, Still } from '../../../components/video-card';
import { formatBytes } from '../../../lib/bytes';
import { formatClock, formatCount, formatExact } from '../../../lib/format';
import { leaveRow } from '../../../lib/leave-row';
import own from './videos.module.css';

export const VISIBILITIES: readonly (readonly [Visibility, string])[] = [
  ['public', 'Public'],
  ['unlisted', 'Unlisted'],
  ['private', 'Private'],
];

/** One of one's videos, with what may be done to it. */
export function VideoRow({ video, onChanged }: { video: MyVideo; onChanged: () => void }) {
  const row = useRef<HTMLElement>(null);
  const trashed = video.own.trashed_at !== null;
  function gone() {
    leaveRow(row.current);
    onChanged();
  }
  const title = video.title || `Broadcast of ${formatExact(new Date(video.created_at))}`;
  return (
    <article ref={row} className={own.row} data-testid="my-video" data-id={video.id}>
      <Link href={`/videos/${video.id}`} className={own.picture} tabIndex={-1} aria-hidden="true">
        <Still url={video.thumbnail_url} />
        {video.duration_s > 0 && (
          <span className={own.length}>{formatClock(video.duration_s)}</span>
        )}
      </Link>
      <div className={own.words}>
        <p className={own.title} dir="auto">
          <Link href={`/videos/${video.id}`} title={title}>
            {title}
          </Link>
        </p>
        <p className={own.pills}>
          <Status video={video} />
        </p>
        <p className={own.faint}>
          {video.playback_url !== null && (
            <>
              {formatCount(video.views)} {video.views === 1 ? 'view' : 'views'} ·{' '}
              {formatBytes(video.own.size_bytes)} ·{' '}
            </>
          )}
          <Ago at={video.created_at} />
        </p>
        {(video.status === 'failed' || video.own.error !== null) && (
          <p className={own.fault}>{video.own.error?.message ?? 'It could not be made.'}</p>
        )}
        {trashed && video.own.purge_at && (
          <p className={own.faint}>Goes for good on {formatExact(new Date(video.own.purge_at))}.</p>
        )}
      </div>
      <div className={own.buttons}>
        {trashed ? (
          <TrashButtons video={video} title={title} onGone={gone} />
        ) : (
          <Buttons video={video} title={title} onChanged={onChanged} onGone={gone} />
        )}
      </div>
    </article>
  );
}

function Status({ video }: { video: MyVideo }) {
  const kind = KINDS[video.kind];
  const waits = video.published_at !== null && Date.parse(video.published_at) > Date.now();
  return (
    <>
      {video.status === 'live' && (
        <Pill tone="live" dot>
          Live
        </Pill>
      )}
      {video.status === 'processing' && <Pill>Being made ready</Pill>}
      {video.status === 'failed' && <Pill tone="danger">Failed</Pill>}
      {kind !== null && <Pill>{kind}</Pill>}
      {video.published_at === null && <Pill tone="warn">Not published</Pill>}
      {waits && <Pill tone="warn">From {formatExact(new Date(video.published_at ?? ''))}</Pill>}
    </>
  );
}

interface ButtonsProps {
  video: MyVideo;
  title: string;
  /** It is no longer in this list. */
  onGone: () => void;
}

function Buttons({ video, title, onChanged, onGone }: ButtonsProps & { onChanged: () => void }) {
  const [retrying, setRetrying] = useState(false);
  const failed = video.status === 'failed';
  const [fileGone, setFileGone] = useState(false);
  const mayRetry = failed && video.own.error?.retry === true && !fileGone;

  async function retry() {
    setRetrying(true);
    const asked = videos.retry(video.id).catch((error: unknown) => {
      if (error instanceof ApiError && error.code === 'upload_gone') setFileGone(true);
      throw error;
    });
    await attempt(asked, `“${title}” is tried again.`);
    setRetrying(false);
    onChanged();
  }
  async function trash() {
    if (!(await attempt(videos.trash(video.id)))) return;
    onGone();
    toast(`“${title}” is in the trash.`, {
      action: {
        label: 'Undo',
        run: () => void attempt(videos.restore(video.id), 'It is back.').then(onChanged),
      },
    });
  }
  return (
    <>
      {mayRetry && (
        <Button
          small
          look="primary"
          icon="refresh"
          busy={retrying}
          aria-label={`Try again: ${title}`}
          onClick={() => void retry()}
        >
          Try again
        </Button>
      )}
      {failed && video.kind === 'upload' && !mayRetry && (
        <ButtonLink
          href="/dashboard/upload"
          look="quiet"
          small
          icon="refresh"
          aria-label={`Try another file for ${title}`}
        >
          Try another file
        </ButtonLink>
      )}
      {!failed && (
        <InlineSelect
          label={`Who may watch ${title}`}
          value={video.visibility}
          onChange={(event) =>
            void attempt(
              videos.change(video.id, { visibility: event.target.value as Visibility }),
            ).then(onChanged)
          }
        >
          {VISIBILITIES.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </InlineSelect>
      )}
      <ButtonLink
        href={`/dashboard/videos?edit=${video.id}`}
        look="quiet"
        small
        aria-label={`Edit ${title}`}
      >
        Edit
      </ButtonLink>
      {video.status === 'ready' && (
        <ButtonLink
          href={`/videos/${video.id}?highlight`}
          look="bare"
          small
          icon="star"
          title="Make a highlight"
          aria-label={`Make a highlight of ${title}`}
        />
      )}
      {video.status === 'ready' && (
        <ButtonLink
          href={`/dashboard/videos?export=${video.id}`}
          look="quiet"
          small
          icon="download"
          aria-label={`Export ${title}`}
        >
          Export
        </ButtonLink>
      )}
      {video.status !== 'live' && (
        <Button
          small
          look="bare"
          icon="trash"
          aria-label={`Delete ${title}`}
          title="Delete"
          onClick={() => void trash()}
        />
      )}
    </>
  );
}

function TrashButtons({ video, title, onGone }: ButtonsProps) {
  const [sure, setSure] = useState(false);

  async function settle(work: Promise<unknown>, done: string) {
    if (await attempt(work, done)) onGone();
  }
  return (
    <>
      <Button
        small
        look="primary"
        icon="refresh"
        aria-label={`Restore ${title}`}
        onClick={() => void settle(videos.restore(video.id), `“${title}” is back.`)}
      >
        Restore
      </Button>
      <Button
        small
        look="bare"
        icon="trash"
        aria-label={`Delete for good: ${title}`}
        onClick={() => setSure(true)}
      >
        Delete for good
      </Button>
      <Dialog
        open={sure}
        title="Delete it for good?"
        onClose={() => setSure(false)}
        actions={
          <>
            <Button onClick={() => setSure(false)}>Keep it</Button>
            <Button
              look="danger"
              onClick={() => {
                setSure(false);
                void settle(videos.remove(video.id), 'It is gone.');
              }}
            >
              Delete for good
            </Button>
          </>
        }
      >
        <p>“{title}” and its chat go at once, and nobody can bring them back. Clips of it stay.</p>
      </Dialog>
    </>
  );
}
