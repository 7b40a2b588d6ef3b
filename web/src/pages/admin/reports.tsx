import { type SubmitEvent, useState } from 'react';
import { Link } from 'wouter';
import { admin, type Decision, type Report, type Scope } from '../../api/admin';
import { useSession } from '../../api/session';
import { usePages } from '../../api/use-pages';
import { attempt } from '../../chat/cards';
import { Button } from '../../components/button';
import { Dialog } from '../../components/dialog';
import { Select, TextArea } from '../../components/field';
import { REASONS } from '../../components/report';
import { Tabs } from '../../components/tabs';
import { Ago } from '../../components/time';
import { toast } from '../../components/toasts';
import { FormFault, Pill } from '../../components/ui';
import { useSending } from '../../components/use-sending';
import css from './admin.module.css';
import { DURATIONS, List } from './list';

type Shown = 'open' | 'mine' | 'decided';
const EVERY_MS = 15_000;

/** What people have reported: somebody takes one, looks, and decides with a reason. */
export function Reports() {
  const [shown, setShown] = useState<Shown>('open');
  const reports = usePages(
    `reports/${shown}`,
    (cursor, signal) =>
      admin.reports(
        shown === 'mine' ? { status: 'claimed', mine: true } : { status: shown },
        cursor,
        signal,
      ),
    { everyMs: EVERY_MS },
  );
  const [deciding, setDeciding] = useState<Report | null>(null);
  return (
    <>
      <Tabs<Shown>
        below
        label="Which reports"
        tabs={[
          { value: 'open', label: 'Open' },
          { value: 'mine', label: 'Taken by me' },
          { value: 'decided', label: 'Decided' },
        ]}
        value={shown}
        onChange={setShown}
      />
      <List of={reports} label="Reports" empty="Nothing here. A quiet house.">
        {(report) => (
          <ReportItem
            report={report}
            onChanged={reports.reload}
            onDecide={() => setDeciding(report)}
          />
        )}
      </List>
      <Dialog
        open={deciding !== null}
        title={`Decide about ${deciding?.user.display_name ?? ''}`}
        onClose={() => setDeciding(null)}
      >
        {deciding && (
          <DecisionForm
            report={deciding}
            onDone={() => {
              setDeciding(null);
              reports.reload();
            }}
          />
        )}
      </Dialog>
    </>
  );
}

/** What was reported, as it was: the text of a message, the title of a stream. */
function snapshotText(report: Report): string | null {
  for (const key of ['text', 'title', 'bio']) {
    const value = report.snapshot[key];
    if (typeof value === 'string' && value !== '') return value;
  }
  return null;
}

function ReportItem({
  report,
  onChanged,
  onDecide,
}: {
  report: Report;
  onChanged: () => void;
  onDecide: () => void;
}) {
  const { user: self } = useSession();
  const quote = snapshotText(report);
  const mine = report.claimed_by?.id === self?.id;
  return (
    <>
      <div>
        <p className={css.title}>
          <strong>{REASONS[report.reason]}</strong>
          <Pill>{report.kind}</Pill>
          {report.status === 'claimed' && (
            <Pill tone="warn">
              {mine ? 'Taken by you' : `Taken by ${report.claimed_by?.display_name ?? ''}`}
            </Pill>
          )}
          {report.decision && <Pill tone="ok">{report.decision}</Pill>}
        </p>
        <p>
          <Link href={`/${report.user.login}`}>{report.user.display_name}</Link>
          {report.channel && report.channel.id !== report.user.id && (
            <>
              {' '}
              in the chat of{' '}
              <Link href={`/${report.channel.login}`}>{report.channel.display_name}</Link>
            </>
          )}
        </p>
        {quote !== null && <p className={css.quote}>{quote}</p>}
        {report.text && <p>“{report.text}”</p>}
        <p className={css.faint}>
          Reported by {report.reporter.display_name} <Ago at={report.created_at} />
          {report.decided_by && (
            <>
              {' '}
              · decided by {report.decided_by.display_name}: {report.decision_reason}
            </>
          )}
        </p>
      </div>
      {report.status !== 'decided' && (
        <div className={css.buttons}>
          {report.status === 'open' && (
            <Button
              small
              look="primary"
              onClick={() => void attempt(admin.claim(report.id), 'It is yours.').then(onChanged)}
            >
              Take it
            </Button>
          )}
          {mine && (
            <>
              <Button small look="primary" onClick={onDecide}>
                Decide…
              </Button>
              <Button
                small
                look="bare"
                onClick={() => void attempt(admin.release(report.id)).then(onChanged)}
              >
                Put it back
              </Button>
            </>
          )}
        </div>
      )}
    </>
  );
}

const DECISIONS: Record<Decision, string> = {
  none: 'Nothing is wrong',
  warned: 'Warn them',
  removed: 'Remove it',
  suspended: 'Suspend them',
};

function DecisionForm({ report, onDone }: { report: Report; onDone: () => void }) {
  const [decision, setDecision] = useState<Decision>('none');
  const [reason, setReason] = useState('');
  const [scope, setScope] = useState<Scope>('account');
  const [seconds, setSeconds] = useState(604_800);
  const { busy, fault, send } = useSending();
  const choices = (Object.keys(DECISIONS) as Decision[]).filter(
    (each) => each !== 'removed' || report.kind !== 'user',
  );

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await admin.decide(report.id, {
        decision,
        reason: reason.trim(),
        ...(decision === 'suspended' && {
          suspension: { scope, ...(seconds > 0 && { duration_s: seconds }) },
        }),
      });
      toast('Decided.');
      onDone();
    });
  }

  return (
    <form className={css.form} onSubmit={submit}>
      <FormFault text={fault} />
      <Select
        label="Decision"
        value={decision}
        onChange={(event) => setDecision(event.target.value as Decision)}
      >
        {choices.map((each) => (
          <option key={each} value={each}>
            {DECISIONS[each]}
          </option>
        ))}
      </Select>
      {decision === 'suspended' && (
        <SuspensionFields {...{ scope, setScope, seconds, setSeconds }} />
      )}
      <TextArea
        label="Reason"
        required
        maxLength={500}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
        hint="Kept with the decision; who is warned or suspended reads it."
      />
      <Button
        type="submit"
        look={decision === 'none' || decision === 'warned' ? 'primary' : 'danger'}
        busy={busy}
      >
        {DECISIONS[decision]}
      </Button>
    </form>
  );
}

export function SuspensionFields({
  scope,
  setScope,
  seconds,
  setSeconds,
}: {
  scope: Scope;
  setScope: (scope: Scope) => void;
  seconds: number;
  setSeconds: (seconds: number) => void;
}) {
  return (
    <>
      <Select
        label="What is suspended"
        value={scope}
        onChange={(event) => setScope(event.target.value as Scope)}
      >
        <option value="account">The account: it may only read</option>
        <option value="channel">The channel: no streams, no chat there</option>
      </Select>
      <Select
        label="For how long"
        value={seconds}
        onChange={(event) => setSeconds(Number(event.target.value))}
      >
        {DURATIONS.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </Select>
    </>
  );
}
