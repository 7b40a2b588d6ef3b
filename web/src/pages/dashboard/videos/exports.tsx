import { useEffect, useState } from 'react';
import { useInstance } from '../../../api/instance';
import { useResource } from '../../../api/use-resource';
import { videos, type Export } from '../../../api/videos';
import { attempt } from '../../../chat/cards';
import { Button, ButtonLink } from '../../../components/button';
import { Dialog } from '../../../components/dialog';
import { Loaded } from '../../../components/loaded';
import { Ago } from '../../../components/time';
import { formatBytes } from '../../../lib/bytes';
import { formatExact } from '../../../lib/format';
import css from '../dashboard.module.css';
import own from './videos.module.css';

const BUSY_MS = 1500;
const NAMES = { mp4: 'MP4, the whole video', mp3: 'MP3, the sound' } as const;

/** Files of a video: asked for, followed while they are made, downloaded. */
export function ExportsDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const instance = useInstance();
  const [busy, setBusy] = useState(false);
  const list = useResource(`exports/${id}`, (signal) => videos.exports(id, signal), {
    everyMs: busy ? BUSY_MS : undefined,
  });
  useEffect(() => {
    setBusy(
      list.data?.items.some(({ state }) => state === 'queued' || state === 'running') ?? false,
    );
  }, [list.data]);
  const ask = (format: Export['format']) =>
    void attempt(videos.export_(id, format)).then(list.reload);

  return (
    <Dialog open title="Export" onClose={onClose}>
      <p>
        A file to keep. You may close this and come back
        {instance?.mail_enabled ? '; an e-mail tells you when it is there.' : '.'}
      </p>
      <p className={own.pills}>
        <Button look="primary" small icon="film" onClick={() => ask('mp4')}>
          Make an MP4
        </Button>
        <Button small icon="headphones" onClick={() => ask('mp3')}>
          Make an MP3
        </Button>
      </p>
      <Loaded of={list} ghost={css.ghostRows}>
        {({ items }) =>
          items.length === 0 ? (
            <p className={css.nothing}>None was made yet.</p>
          ) : (
            <ul className={own.exports}>
              {items.map((item) => (
                <li key={item.id} data-testid="export" data-state={item.state}>
                  <ExportRow item={item} onChanged={list.reload} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Dialog>
  );
}

function ExportRow({ item, onChanged }: { item: Export; onChanged: () => void }) {
  const under = item.state === 'queued' || item.state === 'running';
  const percent = Math.round(item.progress * 100);
  return (
    <>
      <div>
        <strong>{NAMES[item.format]}</strong>
        <p>
          {item.state === 'queued' && 'Waits for its turn.'}
          {item.state === 'running' && `Being made: ${percent} %`}
          {item.state === 'cancelled' && 'Cancelled.'}
          {item.state === 'failed' && (
            <span className={own.fault}>{item.error?.message ?? 'It could not be made.'}</span>
          )}
          {item.state === 'done' &&
            item.download_url === null &&
            'Its file is gone: make it again.'}
          {item.state === 'done' && item.download_url !== null && (
            <>
              {item.size !== null && `${formatBytes(item.size)} · `}
              <Ago at={item.ended_at ?? item.created_at} />
              {item.expires_at && ` · there until ${formatExact(new Date(item.expires_at))}`}
            </>
          )}
        </p>
        {under && (
          <div
            className={own.bar}
            role="progressbar"
            aria-label={NAMES[item.format]}
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={percent}
          >
            <span style={{ width: `${percent}%` }} />
          </div>
        )}
      </div>
      {item.download_url !== null && (
        <ButtonLink look="primary" small icon="download" href={item.download_url} download>
          Download
        </ButtonLink>
      )}
      {under && (
        <Button
          small
          look="bare"
          onClick={() => void attempt(videos.cancelExport(item.id)).then(onChanged)}
        >
          Cancel
        </Button>
      )}
    </>
  );
}
