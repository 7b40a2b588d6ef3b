import type { PublishAttempt } from '../../api/types';
import { Ago } from '../../components/time';
import { Card, Notice, Pill } from '../../components/ui';
import css from './dashboard.module.css';

const SHOWN = 5;

/** The last tries of an encoder to connect. A refusal that nothing has mended since leads, in words. */
export function Attempts({ attempts, live }: { attempts: PublishAttempt[]; live: boolean }) {
  const latest = attempts[0];
  if (latest === undefined) return null;
  return (
    <Card title="Connection attempts">
      {!latest.accepted && !live && (
        <div className={css.gapBelow}>
          <Notice tone="danger" title="The last attempt was refused">
            {latest.message || 'The server gave no reason.'}
          </Notice>
        </div>
      )}
      <ul className={css.attempts}>
        {attempts.slice(0, SHOWN).map((attempt) => (
          <li key={attempt.at}>
            <Pill tone={attempt.accepted ? 'ok' : 'danger'}>
              {attempt.accepted ? 'Accepted' : 'Refused'}
            </Pill>
            <span>{attempt.message || (attempt.accepted ? 'OBS connected.' : attempt.code)}</span>
            <Ago at={attempt.at} />
          </li>
        ))}
      </ul>
    </Card>
  );
}
