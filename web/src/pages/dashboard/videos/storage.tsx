import { useState } from 'react';
import { useResource, type Resource } from '../../../api/use-resource';
import { videos, type StorageUse, type VideoSettings, type Visibility } from '../../../api/videos';
import { attempt } from '../../../chat/cards';
import { Button } from '../../../components/button';
import { Dialog } from '../../../components/dialog';
import { Select } from '../../../components/field';
import { Loaded } from '../../../components/loaded';
import { Notice, Skeleton } from '../../../components/ui';
import { formatBytes } from '../../../lib/bytes';
import { cx } from '../../../lib/cx';
import { formatSpan } from '../../../lib/format';
import css from '../dashboard.module.css';
import { VISIBILITIES } from './row';
import own from './videos.module.css';

const DAYS = [7, 14, 30, 60, 90, 180, 365];

/** What one's videos take, and what becomes of the next broadcasts. */
export function StorageCard({ login, of }: { login: string; of: Resource<StorageUse> }) {
  const [setting, setSetting] = useState(false);
  const { data } = of;
  if (of.error !== undefined && data === undefined) return null;
  return (
    <section className={own.storage} aria-label="Storage">
      {data === undefined ? <Skeleton className={own.ghostStorage} /> : <Used use={data} />}
      <Button small look="quiet" icon="settings" onClick={() => setSetting(true)}>
        Broadcast settings
      </Button>
      {setting && <SettingsDialog login={login} onClose={() => setSetting(false)} />}
    </section>
  );
}

function Used({ use }: { use: StorageUse }) {
  const all = use.videos.bytes + use.trash.bytes + use.clips.bytes;
  const most = use.quota_bytes === null ? null : Math.max(use.quota_bytes, all, 1);
  const kinds = [
    { name: 'Videos', bytes: use.videos.bytes, look: undefined },
    { name: 'Clips', bytes: use.clips.bytes, look: own.ofClips },
    { name: 'Trash', bytes: use.trash.bytes, look: own.ofTrash },
  ];
  return (
    <div className={own.used}>
      <p>
        <strong>{formatBytes(all)}</strong>
        {use.quota_bytes !== null && ` of ${formatBytes(use.quota_bytes)}`} · {use.videos.count}{' '}
        {use.videos.count === 1 ? 'video' : 'videos'}, {formatSpan(use.videos.duration_s)}
      </p>
      {/* Without a limit the line would always be full, as if there were no room left. */}
      {most !== null && (
        <div className={cx(own.bar, own.stacked)} aria-hidden="true">
          {kinds.map(({ name, bytes, look }) => (
            <span key={name} className={look} style={{ width: `${(bytes / most) * 100}%` }} />
          ))}
        </div>
      )}
      <p className={cx(own.faint, own.legend)}>
        {kinds.map(({ name, bytes, look }) => (
          <span key={name}>
            {most !== null && <span className={cx(own.swatch, look)} aria-hidden="true" />}
            {name} {formatBytes(bytes)}
          </span>
        ))}
        {use.retention_days !== null && (
          <span>Broadcasts are kept for {use.retention_days} days</span>
        )}
      </p>
    </div>
  );
}

function SettingsDialog({ login, onClose }: { login: string; onClose: () => void }) {
  const settings = useResource(`video-settings/${login}`, (signal) =>
    videos.settings(login, signal),
  );
  /** A time that would remove what is there: not set before it is said again. */
  const [shorter, setShorter] = useState<{ days: number | null } | null>(null);
  const set = (changes: Partial<Pick<VideoSettings, 'visibility' | 'retention_days'>>) => {
    setShorter(null);
    void attempt(videos.set(login, changes).then(settings.put), 'Saved.');
  };
  return (
    <Dialog open title="What becomes of broadcasts" onClose={onClose}>
      <Loaded of={settings} ghost={css.ghostForm}>
        {(found) => (
          <div className={css.form}>
            <Select
              label="Who may watch the video of a broadcast"
              value={found.visibility}
              onChange={(event) => set({ visibility: event.target.value as Visibility })}
              hint="Holds for those that begin from now on; each can be changed by itself."
            >
              {VISIBILITIES.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </Select>
            <Select
              label="Broadcasts are kept"
              value={(shorter ? shorter.days : found.retention_days) ?? ''}
              onChange={(event) => {
                const days = event.target.value === '' ? null : Number(event.target.value);
                if (kept(found, days) < kept(found, found.retention_days)) setShorter({ days });
                else set({ retention_days: days });
              }}
              hint="Highlights, uploads and clips stay."
            >
              <option value="">
                {found.site_retention_days === null
                  ? 'for good'
                  : `as the site does it: ${found.site_retention_days} days`}
              </option>
              {[...new Set([...DAYS, ...(found.retention_days ? [found.retention_days] : [])])]
                .sort((a, b) => a - b)
                .map((days) => (
                  <option key={days} value={days}>
                    for {days} days
                  </option>
                ))}
            </Select>
            {shorter && (
              <Notice
                tone="warn"
                title={`Remove broadcasts older than ${kept(found, shorter.days)} days?`}
              >
                <p>They go within minutes and cannot be restored.</p>
                <p className={own.answers}>
                  <Button small look="danger" onClick={() => set({ retention_days: shorter.days })}>
                    Remove older ones
                  </Button>
                  <Button small look="quiet" onClick={() => setShorter(null)}>
                    Leave it as it was
                  </Button>
                </p>
              </Notice>
            )}
          </div>
        )}
      </Loaded>
    </Dialog>
  );
}

/** How many days broadcasts live where the channel asks for `days`; null: for what the site says. */
function kept({ site_retention_days }: VideoSettings, days: number | null): number {
  return days ?? site_retention_days ?? Infinity;
}
