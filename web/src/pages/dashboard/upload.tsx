import { useEffect, useRef, useState, useSyncExternalStore, type DragEvent } from 'react';
import { useSession } from '../../api/session';
import { uploads, type Upload } from '../../api/uploads';
import { useResource } from '../../api/use-resource';
import { videos } from '../../api/videos';
import { attempt } from '../../chat/cards';
import { Button, ButtonLink } from '../../components/button';
import { Icon } from '../../components/icon';
import { Loaded } from '../../components/loaded';
import { Card, Notice, Pill } from '../../components/ui';
import { formatBytes } from '../../lib/bytes';
import { cx } from '../../lib/cx';
import { formatSpan } from '../../lib/format';
import { useTitle } from '../../lib/title';
import {
  drop,
  pause,
  resume,
  send,
  sendings,
  subscribe,
  type Sending,
} from '../../uploads/sending';
import css from './dashboard.module.css';
import { DashboardNav } from './nav';
import own from './upload.module.css';

/** While something goes on, what the server says of it is asked for this often, ms. */
const BUSY_MS = 2000;
const QUIET_MS = 30_000;

/** Finished videos go up here: resumable, and made ready to play by the server. */
export default function UploadPage() {
  useTitle('Upload');
  const { user } = useSession();
  const sending = useSyncExternalStore(subscribe, sendings);
  const [busy, setBusy] = useState(true);
  const list = useResource('uploads', (signal) => uploads.list(signal), {
    everyMs: busy ? BUSY_MS : QUIET_MS,
  });
  const { reload } = list;
  const sent = sending.filter(({ state }) => state === 'sent').length;
  useEffect(() => reload(), [sent, reload]);
  useEffect(() => {
    const moves = list.data?.items.some(
      ({ state }) => state === 'waiting' || state === 'processing',
    );
    setBusy(moves ?? true);
  }, [list.data]);
  const picker = useRef<HTMLInputElement>(null);
  /** Which upload the picker was opened for. */
  const asked = useRef<Upload | null>(null);
  const [mismatch, setMismatch] = useState<string | null>(null);

  /** A file that was begun before goes on where it stands; `wanted` is the one that was asked for. */
  function take(files: readonly File[], wanted: Upload | null = null) {
    setMismatch(null);
    const known = list.data?.items.filter(({ state }) => state === 'receiving') ?? [];
    for (const file of files) {
      const same = known.find(({ name, size }) => name === file.name && size === file.size);
      if (wanted?.state === 'failed') {
        // A whole new one takes its place: what had arrived of it could not be used.
        void uploads.cancel(wanted.id).catch(() => undefined);
      } else if (wanted && same?.id !== wanted.id) {
        setMismatch(
          `That is another file. To go on, choose “${wanted.name}” (${formatBytes(wanted.size)}).`,
        );
        continue;
      }
      if (!same || !sending.some(({ id, state }) => id === same.id && state !== 'failed')) {
        send(file, same);
      }
    }
    setTimeout(reload, 500);
  }

  const active = new Set(sending.filter(({ state }) => state !== 'sent').map(({ id }) => id));
  return (
    <div className={css.page}>
      <div className={css.head}>
        <div>
          <h1>Upload</h1>
          <p className={css.nothing}>Any format that a camera or an editor writes.</p>
        </div>
      </div>
      <DashboardNav />
      {user?.may_stream === false && (
        <Notice tone="warn" title="Your account may watch, but not upload yet">
          Ask the people who run this site to allow it.
        </Notice>
      )}
      <DropZone onFiles={(files) => take(files)} />
      <input
        ref={picker}
        type="file"
        accept="video/*,audio/*,.mkv"
        className="visually-hidden"
        tabIndex={-1}
        aria-hidden="true"
        onChange={(event) => {
          take([...(event.target.files ?? [])], asked.current);
          event.target.value = '';
        }}
      />
      {mismatch && <Notice tone="warn">{mismatch}</Notice>}
      {sending.some(({ state }) => state !== 'sent') && (
        <Card title="On their way" about="Other pages may be opened meanwhile; keep this tab.">
          <ul className={own.list}>
            {sending
              .filter(({ state }) => state !== 'sent')
              .map((item) => (
                <li key={item.key}>
                  <SendingRow item={item} onGone={reload} />
                </li>
              ))}
          </ul>
        </Card>
      )}
      <Card title="Your uploads" about="What you sent in the last days, and how far it is.">
        <Loaded of={list} ghost={css.ghostRows}>
          {({ items }) => {
            const shown = items.filter(({ id, state }) => state !== 'cancelled' && !active.has(id));
            return shown.length === 0 ? (
              <p className={css.nothing}>None yet. Drop a file above to begin.</p>
            ) : (
              <ul className={own.list}>
                {shown.map((upload) => (
                  <li key={upload.id}>
                    <UploadRow
                      upload={upload}
                      onChanged={reload}
                      onGoOn={() => {
                        asked.current = upload;
                        picker.current?.click();
                      }}
                    />
                  </li>
                ))}
              </ul>
            );
          }}
        </Loaded>
      </Card>
    </div>
  );
}

function DropZone({ onFiles }: { onFiles: (files: readonly File[]) => void }) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  function dropped(event: DragEvent) {
    event.preventDefault();
    setOver(false);
    onFiles([...event.dataTransfer.files]);
  }
  return (
    <div
      className={cx(own.zone, over && own.over)}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={dropped}
    >
      <Icon name="upload" size={40} />
      <p>
        <strong>Drop videos here</strong>
      </p>
      <Button look="primary" onClick={() => input.current?.click()}>
        Choose files
      </Button>
      <input
        ref={input}
        type="file"
        accept="video/*,audio/*,.mkv"
        multiple
        className="visually-hidden"
        aria-label="Videos to upload"
        data-testid="upload-files"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = '';
        }}
      />
      <p className={css.nothing}>
        A break in the connection, or a reload, costs nothing: it goes on where it was.
      </p>
    </div>
  );
}

function Bar({ part, label }: { part: number; label: string }) {
  return (
    <div
      className={own.bar}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(part * 100)}
    >
      <span style={{ width: `${part * 100}%` }} />
    </div>
  );
}

function remaining({ size, sent, rate }: Sending): string {
  if (rate === null || rate < 1000) return '';
  return ` · ${formatBytes(rate)}/s · ${formatSpan((size - sent) / rate)} left`;
}

function SendingRow({ item, onGone }: { item: Sending; onGone: () => void }) {
  const part = item.size === 0 ? 0 : item.sent / item.size;
  async function cancel() {
    const done = item.id === null || (await attempt(uploads.cancel(item.id)));
    if (done) drop(item.key);
    onGone();
  }
  return (
    <div className={own.row} data-testid="sending" data-state={item.state}>
      <div className={own.words}>
        <strong title={item.name}>{item.name}</strong>
        <p>
          {item.state === 'failed' ? (
            <span className={own.fault}>{item.fault}</span>
          ) : (
            <>
              {formatBytes(item.sent)} of {formatBytes(item.size)}
              {item.state === 'paused' ? ' · paused' : remaining(item)}
            </>
          )}
        </p>
        <Bar part={part} label={`${item.name}: sent`} />
      </div>
      <div className={own.buttons}>
        {item.state === 'sending' ? (
          <Button small look="quiet" icon="pause" onClick={() => pause(item.key)}>
            Pause
          </Button>
        ) : (
          <Button small look="primary" icon="play" onClick={() => resume(item.key)}>
            {item.state === 'failed' ? 'Try again' : 'Go on'}
          </Button>
        )}
        <Button
          small
          look="bare"
          icon="trash"
          aria-label={`Cancel ${item.name}`}
          title="Cancel"
          onClick={() => void cancel()}
        />
      </div>
    </div>
  );
}

function UploadRow({
  upload,
  onChanged,
  onGoOn,
}: {
  upload: Upload;
  onChanged: () => void;
  onGoOn: () => void;
}) {
  const { state, name, size, received, progress, error, video_id } = upload;
  const making = state === 'waiting' || state === 'processing';
  const part = state === 'receiving' ? received / size : state === 'done' ? 1 : progress;
  const [retrying, setRetrying] = useState(false);
  const kept = state === 'failed' && error?.retry && video_id !== null ? video_id : null;

  async function retry(video: string) {
    setRetrying(true);
    await attempt(videos.retry(video));
    setRetrying(false);
    onChanged();
  }
  return (
    <div className={own.row} data-testid="upload" data-state={state}>
      <div className={own.words}>
        <p className={own.title}>
          <strong title={name}>{name}</strong>
          {state === 'done' && <Pill tone="ok">Ready</Pill>}
          {state === 'failed' && <Pill tone="danger">Failed</Pill>}
        </p>
        <p>
          {state === 'receiving' &&
            `Interrupted at ${Math.floor(part * 100)} %. Choose the same file again and it goes on.`}
          {state === 'waiting' && 'Has arrived; waits for its turn.'}
          {state === 'processing' && `Being made ready: ${Math.round(progress * 100)} %`}
          {state === 'done' && formatBytes(size)}
          {state === 'failed' && (
            <span className={own.fault}>{error?.message ?? 'It could not be read.'}</span>
          )}
        </p>
        {(state === 'receiving' || making) && <Bar part={part} label={`${name}: progress`} />}
      </div>
      <div className={own.buttons}>
        {kept !== null && (
          <Button
            small
            look="primary"
            icon="refresh"
            busy={retrying}
            aria-label={`Try again: ${name}`}
            onClick={() => void retry(kept)}
          >
            Try again
          </Button>
        )}
        {(state === 'receiving' || (state === 'failed' && kept === null)) && (
          <Button
            small
            look={state === 'failed' ? 'quiet' : 'primary'}
            icon={state === 'failed' ? 'refresh' : 'upload'}
            onClick={onGoOn}
          >
            {state === 'failed' ? 'Try another file' : 'Choose the file'}
          </Button>
        )}
        {video_id !== null && state !== 'failed' && (
          <ButtonLink small look="quiet" href={`/dashboard/videos?edit=${video_id}`}>
            Details
          </ButtonLink>
        )}
        {state === 'done' && video_id !== null && (
          <ButtonLink small look="primary" icon="play" href={`/videos/${video_id}`}>
            Watch
          </ButtonLink>
        )}
        {state !== 'done' && (
          <Button
            small
            look="bare"
            icon="trash"
            aria-label={`${state === 'failed' ? 'Remove' : 'Cancel'} ${name}`}
            onClick={() => void attempt(uploads.cancel(upload.id)).then(onChanged)}
          />
        )}
      </div>
    </div>
  );
}
