import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { admin, type Overview, type SiteStorage } from '../../api/admin';
import { usePages } from '../../api/use-pages';
import { useResource } from '../../api/use-resource';
import { Failed, Loaded } from '../../components/loaded';
import { Ago } from '../../components/time';
import { Card, Notice, Pill, Skeleton } from '../../components/ui';
import { formatBytes } from '../../lib/bytes';
import { cx } from '../../lib/cx';
import { formatCount, formatSpan } from '../../lib/format';
import css from './admin.module.css';
import own from './overview.module.css';

const EVERY_MS = 10_000;
const STORAGE_EVERY_MS = 60_000;
const SHOWN = 5;

/** How the instance is, at a glance. */
export function OverviewArea() {
  const overview = useResource('admin-overview', admin.overview, { everyMs: EVERY_MS });
  return (
    <Loaded of={overview} ghost={css.ghost}>
      {(found) => (
        <div className={own.area}>
          {overview.error !== undefined && <Failed of={overview} title="This is out of date" />}
          <Alerts of={found} />
          <div className={own.tiles}>
            <Tile name="Live" value={formatCount(found.live.streams)}>
              {found.live.waiting > 0 && `${found.live.waiting} more without a picture · `}
              {formatCount(found.live.viewers)} watching
            </Tile>
            <Tile
              name="Load"
              value={`${Math.round((found.machine.load / found.machine.cores) * 100)} %`}
            >
              {found.machine.load} on {found.machine.cores}{' '}
              {found.machine.cores === 1 ? 'core' : 'cores'}
            </Tile>
            <Memory of={found.machine} />
            <Tile
              name="Last backup"
              value={found.backup === null ? 'none' : <Ago at={found.backup.at} />}
            >
              {found.backup === null ? (
                <>
                  <code>./footlight backup</code> makes one
                </>
              ) : (
                [
                  found.backup.ok ? 'in order' : 'failed',
                  found.backup.size_bytes !== null && formatBytes(found.backup.size_bytes),
                ]
                  .filter(Boolean)
                  .join(' · ')
              )}
            </Tile>
          </div>
          <div className={own.pair}>
            <Streams />
            <Queues of={found} />
            <Disks of={found} />
            <Storage />
            <Services of={found} />
            <Versions of={found} />
          </div>
        </div>
      )}
    </Loaded>
  );
}

const LOOK = 'Its log and ./footlight doctor say why.';
const ROOM = 'Delete videos, keep them for a shorter time (Settings, Videos), or add a disk.';
/** What to do about an alert, by its code; for the others there is docs/operations/monitoring.md. */
const ADVICE: Record<string, string> = {
  Overloaded:
    'Streams may stutter. Fewer renditions or fewer streams at once (Settings, Live) help, or a larger machine.',
  MemoryLow:
    'The kernel ends programs when there is none left. Fewer streams at once (Settings, Live), or more memory.',
  ServiceDown: LOOK,
  DependencyDown: LOOK,
  RtmpDown: LOOK,
  DiskLow: ROOM,
  DiskNearlyFull: ROOM,
  BackupFailed: './footlight backup takes one and says what is wrong.',
  BackupOld: './footlight backup takes one.',
};
const ELSE = 'What to do is in docs/operations/monitoring.md.';

function Alerts({ of: { alerts } }: { of: Overview }) {
  if (alerts.length === 0) return <Notice tone="ok" title="Nothing needs you" />;
  return (
    <ul className={own.alerts} aria-label="Alerts">
      {alerts.map((alert) => (
        <li key={alert.message}>
          <Notice tone={alert.severity === 'critical' ? 'danger' : 'warn'} title={alert.message}>
            {ADVICE[alert.code] ?? ELSE}
          </Notice>
        </li>
      ))}
    </ul>
  );
}

function Tile({ name, value, children }: { name: string; value: ReactNode; children: ReactNode }) {
  return (
    <section className={own.tile} aria-label={name}>
      <h2>{name}</h2>
      <p className={own.value}>{value}</p>
      <p className={css.faint}>{children}</p>
    </section>
  );
}

function Memory({ of: machine }: { of: Overview['machine'] }) {
  const { memory_total_bytes: total, memory_free_bytes: free } = machine;
  if (total === null || free === null) return null;
  return (
    <Tile name="Memory" value={`${Math.round((1 - free / total) * 100)} %`}>
      {formatBytes(free)} of {formatBytes(total)} free
    </Tile>
  );
}

function Row({ name, children }: { name: ReactNode; children: ReactNode }) {
  return (
    <div className={own.row}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Streams() {
  const streams = usePages(
    'overview-streams',
    (cursor, signal) => admin.streams({}, cursor, signal),
    {
      everyMs: EVERY_MS,
    },
  );
  return (
    <Card title="On stage" aside={<Link href="/admin/streams">All streams</Link>}>
      <Loaded of={streams} ghost={own.ghost}>
        {({ items }) =>
          items.length === 0 ? (
            <p className={css.faint}>Nobody is live. Streams are listed here as they begin.</p>
          ) : (
            <dl className={own.rows}>
              {[...items]
                .sort((a, b) => b.viewers - a.viewers)
                .slice(0, SHOWN)
                .map((stream) => (
                  <Row
                    key={stream.id}
                    name={
                      <Link href={`/${stream.channel.login}`}>{stream.channel.display_name}</Link>
                    }
                  >
                    {stream.status === 'live' ? (
                      `${formatCount(stream.viewers)} watching`
                    ) : (
                      <Pill>{stream.status}</Pill>
                    )}
                  </Row>
                ))}
            </dl>
          )
        }
      </Loaded>
    </Card>
  );
}

function since(seconds: number): string {
  return seconds < 1 ? '' : `, the oldest for ${formatSpan(seconds)}`;
}

function Queues({ of: { spool, jobs, outbox } }: { of: Overview }) {
  return (
    <Card title="Queues">
      <dl className={own.rows}>
        <Row name="Spool: segments for the storage">
          {spool === null ? (
            <Pill>not known</Pill>
          ) : (
            <>
              {formatBytes(spool.bytes)} of {formatBytes(spool.limit_bytes)}
              {since(spool.oldest_s)}
            </>
          )}
        </Row>
        <Row name="Jobs: transcoding, exports, clips">
          {jobs.running} running, {jobs.waiting} waiting
          {since(jobs.oldest_s)}
        </Row>
        <Row name="Outbox: events for NATS">
          {outbox.waiting} waiting
          {since(outbox.oldest_s)}
        </Row>
      </dl>
    </Card>
  );
}

const DISKS: Record<string, string> = {
  data: 'Data',
  spool: 'Spool',
  media: 'Live media, in memory',
};

/** What else runs here, as its makers write it. */
const NAMES: Record<string, string> = {
  postgres: 'PostgreSQL',
  postgresql: 'PostgreSQL',
  redis: 'Redis',
  nats: 'NATS',
  s3: 'Object storage',
  ingest: 'Ingest',
  chat: 'Chat',
  recorder: 'Recorder',
  edge: 'Web',
  rtmp: 'RTMP',
  footlight: 'Footlight',
  schema: 'Database schema',
  python: 'Python',
  settings: 'Changes to the settings',
};
const nameOf = (name: string) => NAMES[name] ?? name;

/** Past this share of a disk its bar warns. */
const FULL = 0.85;

/** Drawn by ourselves: a browser's own meter looks different in each. */
function Meter({ label, share }: { label: string; share: number }) {
  const percent = Math.round(share * 100);
  return (
    <div
      className={cx(own.meter, share > FULL && own.full)}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <span style={{ width: `${percent}%` }} />
    </div>
  );
}

function Disks({ of: { machine } }: { of: Overview }) {
  return (
    <Card title="Disks" about={`Of ${machine.node}`}>
      <div className={own.rows}>
        {machine.disks.map((disk) => (
          <div key={disk.name}>
            <p className={own.row}>
              <span>{DISKS[disk.name] ?? disk.name}</span>
              <span>
                {formatBytes(disk.free_bytes)} of {formatBytes(disk.total_bytes)} free
              </span>
            </p>
            <Meter
              label={`${DISKS[disk.name] ?? disk.name}: used`}
              share={1 - disk.free_bytes / disk.total_bytes}
            />
          </div>
        ))}
      </div>
    </Card>
  );
}

function Storage() {
  const storage = useResource('admin-storage', admin.storage, { everyMs: STORAGE_EVERY_MS });
  if (storage.data === undefined && storage.error === undefined) {
    return (
      <Card title="Storage">
        <Skeleton className={own.ghost} />
      </Card>
    );
  }
  return (
    <Card title="Storage">
      <Loaded of={storage}>{(found) => <Used of={found} />}</Loaded>
    </Card>
  );
}

function Used({ of: { videos, clips, trash, channels } }: { of: SiteStorage }) {
  return (
    <dl className={own.rows}>
      <Row name={`${formatCount(videos.count)} videos`}>{formatBytes(videos.bytes)}</Row>
      <Row name={`${formatCount(clips.count)} clips`}>{formatBytes(clips.bytes)}</Row>
      <Row name={`${formatCount(trash.count)} in the trash`}>{formatBytes(trash.bytes)}</Row>
      {channels.slice(0, 3).map(({ channel, bytes }) => (
        <Row key={channel.id} name={<Link href={`/${channel.login}`}>{channel.display_name}</Link>}>
          {formatBytes(bytes)}
        </Row>
      ))}
    </dl>
  );
}

function Services({ of: { services } }: { of: Overview }) {
  return (
    <Card title="Parts">
      <dl className={own.rows}>
        {services.map(({ name, ready }) => (
          <Row key={name} name={nameOf(name)}>
            <Pill tone={ready ? 'ok' : 'danger'} dot>
              {ready ? 'ready' : 'does not answer'}
            </Pill>
          </Row>
        ))}
      </dl>
    </Card>
  );
}

function Versions({ of: { versions } }: { of: Overview }) {
  return (
    <Card title="Versions">
      <dl className={own.rows}>
        {Object.entries(versions).map(([name, version]) => (
          <Row key={name} name={nameOf(name)}>
            {version}
          </Row>
        ))}
      </dl>
    </Card>
  );
}
