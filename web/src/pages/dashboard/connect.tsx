import { api } from '../../api/client';
import { useInstance } from '../../api/instance';
import type { NewStreamKey } from '../../api/types';
import { Button } from '../../components/button';
import { CopyField } from '../../components/copy-field';
import { Card, FormFault, Skeleton } from '../../components/ui';
import { useSending } from '../../components/use-sending';
import css from './dashboard.module.css';
import type { StreamKeysResource } from './keys';

/** Step by step from nothing to live; each step with what it needs right there. */
export function Connect({
  keys,
  made,
  onMade,
  state,
}: {
  keys: StreamKeysResource;
  made: NewStreamKey | null;
  onMade: (key: NewStreamKey) => void;
  state: 'offline' | 'connecting';
}) {
  const instance = useInstance();
  return (
    <Card
      title="Connect OBS"
      about="A minute's work, once. Any program that sends RTMP works the same way."
    >
      <ol className={css.steps}>
        <li>
          <h3>Open OBS → Settings → Stream</h3>
          <p>
            Service: <b>Custom…</b> Paste this as the server.
          </p>
          {instance ? (
            <CopyField label="Server" value={made?.server ?? instance.rtmp_url} />
          ) : (
            <Skeleton className={css.ghostField} />
          )}
        </li>
        <li>
          <h3>Paste your stream key</h3>
          <KeyStep keys={keys} made={made} onMade={onMade} />
        </li>
        <li>
          <h3>Set Output for a short delay</h3>
          <p>Settings → Output, mode Advanced, tab Streaming. The first two matter most.</p>
          <Recommended />
        </li>
        <li>
          <h3>Press Start Streaming</h3>
          <p className={css.waiting} aria-live="polite">
            <span className={css.beacon} aria-hidden="true" />
            {state === 'connecting'
              ? 'OBS is connected. Waiting for the first picture…'
              : 'Waiting for OBS. This page turns live by itself.'}
          </p>
        </li>
      </ol>
    </Card>
  );
}

function KeyStep({
  keys,
  made,
  onMade,
}: {
  keys: StreamKeysResource;
  made: NewStreamKey | null;
  onMade: (key: NewStreamKey) => void;
}) {
  const { busy, fault, send } = useSending();

  function make() {
    void send(async () => {
      onMade(
        await api<NewStreamKey>('POST', '/me/stream-keys', {
          body: { name: keys.data?.items.length ? `Key ${keys.data.items.length + 1}` : 'OBS' },
        }),
      );
      keys.reload();
    });
  }

  if (made !== null) {
    return (
      <CopyField
        label="Stream key"
        value={made.key}
        secret
        hint="Shown this once: it is gone when you leave this page. Whoever has it can stream as you."
      />
    );
  }
  if (keys.data === undefined && keys.error === undefined) {
    return <Skeleton className={css.ghostField} />;
  }
  const has = (keys.data?.items.length ?? 0) > 0;
  return (
    <>
      <p>
        {has
          ? 'The key you made before still works if OBS has it. Keys are shown only once; make another if you need to paste one.'
          : 'The key tells the server that it is you. Keep it secret.'}
      </p>
      <FormFault text={fault} />
      <div>
        <Button look={has ? 'quiet' : 'primary'} icon="key" busy={busy} onClick={make}>
          {has ? 'Make another key' : 'Make my stream key'}
        </Button>
      </div>
    </>
  );
}

const ADVICE: readonly { setting: string; value: string; gives: string; costs: string }[] = [
  {
    setting: 'Keyframe interval',
    value: '1 s (or 2 s)',
    gives: 'The page opens at once and stays under a second behind.',
    costs: 'At 1 s about a tenth more bitrate for the same picture than at 2 s.',
  },
  {
    setting: 'Tune (x264)',
    value: 'zerolatency',
    gives: 'Half a second less delay.',
    costs: 'A little sharpness at the same bitrate. NVENC: tuning “Ultra low latency”.',
  },
  {
    setting: 'Encoder',
    value: 'x264, or hardware H.264',
    gives: 'Every browser plays H.264. HEVC and AV1 work too.',
    costs: 'Hardware spares the processor; x264 “veryfast” looks a little better.',
  },
  {
    setting: 'Rate control',
    value: 'CBR, 3000–6000 kb/s',
    gives: '3000 for 720p30, 4500 for 1080p30, 6000 for 1080p60.',
    costs: 'Stay below two thirds of your upload.',
  },
  {
    setting: 'Audio',
    value: 'AAC, 160 kb/s',
    gives: 'Passed on as it is.',
    costs: 'Nothing.',
  },
];

function Recommended() {
  return (
    <div className={css.adviceFrame}>
      <table className={css.advice}>
        <thead>
          <tr>
            <th scope="col">Setting</th>
            <th scope="col">Set to</th>
            <th scope="col">Gives</th>
            <th scope="col">Costs</th>
          </tr>
        </thead>
        <tbody>
          {ADVICE.map(({ setting, value, gives, costs }) => (
            <tr key={setting}>
              <th scope="row">{setting}</th>
              <td>
                <b>{value}</b>
              </td>
              <td data-label="Gives">{gives}</td>
              <td data-label="Costs">{costs}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
