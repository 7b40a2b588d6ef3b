import { type SubmitEvent, useState } from 'react';
import { Link } from 'wouter';
import { type Account, admin, type Appeal, type RunningStream, type Scope } from '../../api/admin';
import { useSession } from '../../api/session';
import type { User } from '../../api/types';
import { usePages } from '../../api/use-pages';
import { attempt } from '../../chat/cards';
import { Button } from '../../components/button';
import { Dialog } from '../../components/dialog';
import { Field, InlineSelect, Select, TextArea } from '../../components/field';
import { Ago } from '../../components/time';
import { toast } from '../../components/toasts';
import { FormFault, Pill } from '../../components/ui';
import { useSending } from '../../components/use-sending';
import { formatCount, formatExact } from '../../lib/format';
import css from './admin.module.css';
import { DURATIONS, List } from './list';
import { SuspensionFields } from './reports';

const EVERY_MS = 15_000;

export function Users() {
  const { user: self } = useSession();
  const [wanted, setWanted] = useState('');
  const [asked, setAsked] = useState('');
  const users = usePages(`users/${asked}`, (cursor, signal) =>
    admin.users({ q: asked }, cursor, signal),
  );
  const [suspending, setSuspending] = useState<Account | null>(null);
  return (
    <>
      <form
        className={css.filters}
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          setAsked(wanted.trim());
        }}
      >
        <Field
          label="Find people"
          type="search"
          placeholder="Name, or a whole e-mail address"
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
        />
        <Button type="submit" icon="search">
          Find
        </Button>
      </form>
      <List of={users} label="People" empty="Nobody of that name.">
        {(account) => (
          <>
            <div>
              <p className={css.title}>
                <strong>{account.display_name}</strong>
                <Link href={`/${account.login}`}>@{account.login}</Link>
                {account.suspended.map((scope) => (
                  <Pill key={scope} tone="danger">
                    {scope} suspended
                  </Pill>
                ))}
                {account.deleted_at && <Pill>deleted</Pill>}
              </p>
              <p className={css.faint}>
                {account.email && <>{account.email} · </>}
                {formatCount(account.followers)} followers · since <Ago at={account.created_at} />
              </p>
            </div>
            <div className={css.buttons}>
              {self?.role === 'admin' ? (
                <InlineSelect
                  label={`Role of ${account.display_name}`}
                  value={account.role}
                  onChange={(event) =>
                    void attempt(
                      admin.setRole(account.id, event.target.value as User['role']),
                      'The role is changed.',
                    ).then(users.reload)
                  }
                >
                  {['viewer', 'creator', 'moderator', 'admin'].map((role) => (
                    <option key={role}>{role}</option>
                  ))}
                </InlineSelect>
              ) : (
                <Pill>{account.role}</Pill>
              )}
              {account.id !== self?.id && (
                <Button small look="quiet" onClick={() => setSuspending(account)}>
                  Suspend…
                </Button>
              )}
            </div>
          </>
        )}
      </List>
      <Dialog
        open={suspending !== null}
        title={`Suspend ${suspending?.display_name ?? ''}`}
        onClose={() => setSuspending(null)}
      >
        {suspending && (
          <SuspendForm
            login={suspending.login}
            onDone={() => {
              setSuspending(null);
              users.reload();
            }}
          />
        )}
      </Dialog>
    </>
  );
}

function SuspendForm({ login, onDone }: { login: string; onDone: () => void }) {
  const [scope, setScope] = useState<Scope>('account');
  const [seconds, setSeconds] = useState(604_800);
  const [reason, setReason] = useState('');
  const { busy, fault, send } = useSending();

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await admin.suspend({
        user: login,
        scope,
        reason: reason.trim(),
        ...(seconds > 0 && { duration_s: seconds }),
      });
      toast('It holds from now on.');
      onDone();
    });
  }

  return (
    <form className={css.form} onSubmit={submit}>
      <FormFault text={fault} />
      <SuspensionFields {...{ scope, setScope, seconds, setSeconds }} />
      <TextArea
        label="Reason"
        required
        maxLength={500}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
        hint="They are told this."
      />
      <Button type="submit" look="danger" busy={busy}>
        Suspend
      </Button>
    </form>
  );
}

export function Suspensions() {
  const suspensions = usePages('suspensions', (cursor, signal) =>
    admin.suspensions({}, cursor, signal),
  );
  return (
    <List of={suspensions} label="Suspensions" empty="Nobody is suspended.">
      {(suspension) => (
        <>
          <div>
            <p className={css.title}>
              <Link href={`/${suspension.user.login}`}>{suspension.user.display_name}</Link>
              <Pill>{suspension.scope}</Pill>
              {suspension.standing ? <Pill tone="danger">in force</Pill> : <Pill>over</Pill>}
            </p>
            <p>{suspension.reason}</p>
            <p className={css.faint}>
              {suspension.by && <>By {suspension.by.display_name} · </>}
              <Ago at={suspension.created_at} /> ·{' '}
              {suspension.until === null
                ? 'for good'
                : `until ${formatExact(new Date(suspension.until))}`}
            </p>
          </div>
          {suspension.standing && (
            <div className={css.buttons}>
              <Button
                small
                look="quiet"
                onClick={() =>
                  void attempt(admin.lift(suspension.id), 'It is lifted.').then(suspensions.reload)
                }
              >
                Lift
              </Button>
            </div>
          )}
        </>
      )}
    </List>
  );
}

export function Appeals() {
  const appeals = usePages('appeals', (cursor, signal) =>
    admin.appeals({ open: true }, cursor, signal),
  );
  const [answering, setAnswering] = useState<Appeal | null>(null);
  return (
    <>
      <List of={appeals} label="Appeals" empty="No appeal waits.">
        {(appeal) => (
          <>
            <div>
              <p className={css.title}>
                <Link href={`/${appeal.suspension.user.login}`}>
                  {appeal.suspension.user.display_name}
                </Link>
                <Pill>{appeal.suspension.scope}</Pill>
              </p>
              <p className={css.quote}>{appeal.text}</p>
              <p className={css.faint}>
                Suspended for: {appeal.suspension.reason} · appealed <Ago at={appeal.created_at} />
              </p>
            </div>
            <div className={css.buttons}>
              <Button small look="primary" onClick={() => setAnswering(appeal)}>
                Answer…
              </Button>
            </div>
          </>
        )}
      </List>
      <Dialog
        open={answering !== null}
        title="Answer the appeal"
        onClose={() => setAnswering(null)}
      >
        {answering && (
          <AppealForm
            appeal={answering}
            onDone={() => {
              setAnswering(null);
              appeals.reload();
            }}
          />
        )}
      </Dialog>
    </>
  );
}

function AppealForm({ appeal, onDone }: { appeal: Appeal; onDone: () => void }) {
  const [decision, setDecision] = useState<'upheld' | 'shortened' | 'lifted'>('upheld');
  const [seconds, setSeconds] = useState(86_400);
  const [answer, setAnswer] = useState('');
  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const body = {
      decision,
      answer: answer.trim(),
      ...(decision === 'shortened' && { duration_s: seconds }),
    };
    if (await attempt(admin.decideAppeal(appeal.id, body), 'They are told.')) onDone();
  }
  return (
    <form className={css.form} onSubmit={(event) => void submit(event)}>
      <Select
        label="Decision"
        value={decision}
        onChange={(event) => setDecision(event.target.value as typeof decision)}
      >
        <option value="upheld">The suspension stands</option>
        <option value="shortened">It is shortened</option>
        <option value="lifted">It is lifted</option>
      </Select>
      {decision === 'shortened' && (
        <Select
          label="It holds, from now"
          value={seconds}
          onChange={(event) => setSeconds(Number(event.target.value))}
        >
          {DURATIONS.filter(([value]) => value > 0).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </Select>
      )}
      <TextArea
        label="Answer"
        maxLength={2000}
        value={answer}
        onChange={(event) => setAnswer(event.target.value)}
      />
      <Button type="submit" look="primary">
        Send
      </Button>
    </form>
  );
}

export function Streams() {
  const streams = usePages('admin-streams', (cursor, signal) => admin.streams({}, cursor, signal), {
    everyMs: EVERY_MS,
  });
  const [stopping, setStopping] = useState<RunningStream | null>(null);
  return (
    <>
      <List of={streams} label="Running streams" empty="Nobody is live.">
        {(stream) => (
          <>
            <div>
              <p className={css.title}>
                <Link href={`/${stream.channel.login}`}>{stream.channel.display_name}</Link>
                <Pill tone={stream.status === 'live' ? 'live' : 'plain'}>{stream.status}</Pill>
              </p>
              {stream.title && <p>{stream.title}</p>}
              <p className={css.faint}>
                {stream.viewers} watching, {stream.peak_viewers} at most · began{' '}
                <Ago at={stream.started_at} />
                {stream.node && ` · ${stream.node}`}
              </p>
            </div>
            <div className={css.buttons}>
              <Button
                small
                look="danger"
                icon="stop"
                aria-label={`Stop the stream of ${stream.channel.display_name}`}
                onClick={() => setStopping(stream)}
              >
                Stop…
              </Button>
            </div>
          </>
        )}
      </List>
      <Dialog
        open={stopping !== null}
        title={`Stop the stream of ${stopping?.channel.display_name ?? ''}?`}
        onClose={() => setStopping(null)}
        actions={
          stopping && (
            <>
              <Button onClick={() => setStopping(null)}>Let it run</Button>
              <Button
                look="danger"
                onClick={() => {
                  setStopping(null);
                  void attempt(admin.stopStream(stopping.id), 'The stream is stopped.').then(
                    streams.reload,
                  );
                }}
              >
                Stop it
              </Button>
            </>
          )
        }
      >
        <p>
          It ends at once, for everybody who watches. The streamer may begin again: to keep them
          off, suspend their channel on the People page.
        </p>
      </Dialog>
    </>
  );
}
