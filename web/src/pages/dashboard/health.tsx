import { useEffect, useState } from 'react';
import { api, explain } from '../../api/client';
import type { HealthSample } from '../../api/types';
import { Plot } from '../../components/plot';
import { useNow } from '../../components/time';
import { Card, Notice } from '../../components/ui';
import { formatBitrate } from '../../lib/format';
import type { Point } from '../../lib/plot';
import css from './dashboard.module.css';

const POLL_MS = 2000;
const CODECS: Record<string, string> = { h264: 'H.264', hevc: 'HEVC', av1: 'AV1', aac: 'AAC' };
/** What the plots show, ms. */
const SHOWN_MS = 5 * 60_000;
/** Beyond this viewers wait for the picture, s. */
const LONG_GOP_S = 4.2;

/** The health series of the running stream: loaded once, then only what is new. */
function useHealth(key: string | null): { samples: HealthSample[]; error: unknown } {
  const [samples, setSamples] = useState<HealthSample[]>([]);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const abort = new AbortController();
    let since = new Date(Date.now() - SHOWN_MS).toISOString();
    let timer: ReturnType<typeof setTimeout>;
    setSamples([]);
    async function load() {
      try {
        const { items } = await api<{ items: HealthSample[] }>(
          'GET',
          `/me/stream/health?since=${encodeURIComponent(since)}`,
          { signal: abort.signal },
        );
        since = items.at(-1)?.at ?? since;
        setError(undefined);
        setSamples((old) => {
          const last = old.at(-1)?.at ?? '';
          return [...old, ...items.filter(({ at }) => at > last)].slice(-1000);
        });
      } catch (failure) {
        if (!abort.signal.aborted) setError(failure);
      }
      if (!abort.signal.aborted) timer = setTimeout(() => void load(), POLL_MS);
    }
    void load();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key]);
  return { samples, error };
}

export function Health({ sinceStart }: { sinceStart: string | null }) {
  const { samples, error } = useHealth(sinceStart);
  const now = useNow(POLL_MS).getTime();
  const last = samples.at(-1);
  const series = (pick: (sample: HealthSample) => number | null): Point[] =>
    samples.map((sample) => ({ at: Date.parse(sample.at), value: pick(sample) }));
  // The clock of the samples is the server's: the newest one is the right edge.
  const newest = last ? Date.parse(last.at) : now;
  const first = samples[0] ? Date.parse(samples[0].at) : newest;
  const span = Math.min(SHOWN_MS, Math.max(60_000, newest - first));
  const window = { from: newest - span, to: newest };
  const interval = last?.keyframe_interval_s ?? null;

  return (
    <Card
      title="Health"
      aside={
        last && (
          <span className={css.codec}>
            {[
              last.video && `${CODECS[last.video] ?? last.video} ${last.width}×${last.height}`,
              last.audio ? (CODECS[last.audio] ?? last.audio) : 'no sound',
              last.encoder,
            ]
              .filter(Boolean)
              .join(' · ')}
          </span>
        )
      }
    >
      {error !== undefined && <Notice tone="warn">{explain(error)}</Notice>}
      <div className={css.plots}>
        <Plot
          {...window}
          label="Bitrate"
          points={series(({ bitrate }) => bitrate)}
          format={formatBitrate}
          floor={0}
          least={500_000}
          tone={(last?.arrival_share ?? 1) < 0.85 ? 'warn' : 'plain'}
          note={last ? `sound ${formatBitrate(last.audio_bitrate)}` : undefined}
        />
        <Plot
          {...window}
          label="Frames per second"
          points={series(({ frame_rate }) => frame_rate)}
          format={(value) => value.toFixed(1)}
          floor={0}
          least={10}
          tone={(last?.gaps ?? 0) > 0 ? 'warn' : 'plain'}
          note={last?.gaps ? `${last.gaps} gaps` : 'no gaps'}
        />
        <Plot
          {...window}
          label="Keyframe interval"
          points={series(({ keyframe_interval_s }) => keyframe_interval_s)}
          format={(value) => `${value.toFixed(1)} s`}
          floor={0}
          least={2}
          tone={interval !== null && interval > LONG_GOP_S ? 'warn' : 'plain'}
          note={
            interval === null
              ? 'waiting for the second'
              : interval > LONG_GOP_S
                ? 'set it to 2 s or less'
                : 'good'
          }
        />
        <Plot
          {...window}
          label="Sound level"
          points={series(({ audio_mean_db }) => audio_mean_db)}
          format={(value) => `${value.toFixed(0)} dB`}
          floor={-90}
          least={20}
          note={
            last?.audio_peak_db == null ? undefined : `peak ${last.audio_peak_db.toFixed(0)} dB`
          }
        />
      </div>
    </Card>
  );
}
