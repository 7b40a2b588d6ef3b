import { useState } from 'react';
import { useLocation, useSearch } from 'wouter';
import { useSession } from '../../../api/session';
import { usePages } from '../../../api/use-pages';
import { useResource } from '../../../api/use-resource';
import { videos } from '../../../api/videos';
import { ButtonLink } from '../../../components/button';
import { InlineSelect } from '../../../components/field';
import { Loaded } from '../../../components/loaded';
import { More } from '../../../components/more';
import { Tabs } from '../../../components/tabs';
import { TitleSearch } from '../../../components/title-search';
import { EmptyState } from '../../../components/ui';
import { useTitle } from '../../../lib/title';
import css from '../dashboard.module.css';
import { DashboardNav } from '../nav';
import { EditDialog } from './edit';
import { ExportsDialog } from './exports';
import { VideoRow } from './row';
import { StorageCard } from './storage';
import own from './videos.module.css';

/** Videos that are being made change by themselves. */
const EVERY_MS = 15_000;

/** All of one's videos: what others see of them, what they take, and the trash. */
export default function DashboardVideosPage() {
  useTitle('Your videos');
  const { user } = useSession();
  return user === null ? null : <Manager login={user.login} />;
}

function Manager({ login }: { login: string }) {
  const [, navigate] = useLocation();
  const asked = new URLSearchParams(useSearch());
  const editing = asked.get('edit');
  const exporting = asked.get('export');
  const [shown, setShown] = useState<'all' | 'trash'>('all');
  const [sort, setSort] = useState('newest');
  const [q, setQ] = useState('');
  const trashed = shown === 'trash';
  const list = usePages(
    `my-videos/${shown}/${sort}/${q}`,
    (cursor, signal) => videos.mine({ trashed, sort, q }, cursor, signal),
    { everyMs: EVERY_MS },
  );
  const storage = useResource('storage', (signal) => videos.storage(signal));

  function changed() {
    list.reload();
    storage.reload();
  }
  const closed = () => navigate('/dashboard/videos', { replace: true });

  return (
    <div className={css.page}>
      <div className={css.head}>
        <div>
          <h1>Videos</h1>
          <p className={css.nothing}>Every broadcast is here the moment it ends.</p>
        </div>
        <ButtonLink href="/dashboard/upload" look="primary" icon="upload">
          Upload
        </ButtonLink>
      </div>
      <DashboardNav />
      <StorageCard login={login} of={storage} />
      <div className={own.tools}>
        <Tabs<'all' | 'trash'>
          below
          label="Which videos"
          tabs={[
            { value: 'all', label: 'Videos' },
            { value: 'trash', label: 'Trash' },
          ]}
          value={shown}
          onChange={setShown}
        />
        <div className={own.search}>
          <TitleSearch asked={q} onAsk={setQ} />
        </div>
        <InlineSelect label="Order" value={sort} onChange={(event) => setSort(event.target.value)}>
          <option value="newest">Newest first</option>
          <option value="views">Most watched</option>
          <option value="longest">Longest first</option>
          <option value="largest">Largest first</option>
        </InlineSelect>
      </div>
      <Loaded of={list} ghost={css.ghostForm}>
        {({ items }) =>
          items.length === 0 ? (
            <Nothing trashed={trashed} searched={q !== ''} />
          ) : (
            <ul className={own.list} aria-label={trashed ? 'Videos in the trash' : 'Your videos'}>
              {items.map((video) => (
                <li key={video.id}>
                  <VideoRow video={video} onChanged={changed} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      <More of={list} label="Show more videos" />
      {editing !== null && <EditDialog id={editing} onClose={closed} onChanged={changed} />}
      {exporting !== null && <ExportsDialog id={exporting} onClose={closed} />}
    </div>
  );
}

function Nothing({ trashed, searched }: { trashed: boolean; searched: boolean }) {
  if (searched) {
    return (
      <EmptyState title="No video of that title">Look for the beginning of a word.</EmptyState>
    );
  }
  if (trashed) {
    return (
      <EmptyState title="The trash is empty">
        What you delete waits here for a while before it goes for good.
      </EmptyState>
    );
  }
  return (
    <EmptyState
      title="No videos yet"
      actions={
        <>
          <ButtonLink href="/dashboard" look="primary" icon="broadcast">
            Go live
          </ButtonLink>
          <ButtonLink href="/dashboard/upload" look="quiet" icon="upload">
            Upload one
          </ButtonLink>
        </>
      }
    >
      Go live, and the recording is here when you stop. Or upload what you have.
    </EmptyState>
  );
}
