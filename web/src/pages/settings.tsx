import { type SubmitEvent, useState } from 'react';
import { useLocation } from 'wouter';
import { api, explain } from '../api/client';
import { forgetUser, setUser, useSession } from '../api/session';
import type { LoginSession, Page, User } from '../api/types';
import { useResource } from '../api/use-resource';
import { Button } from '../components/button';
import { Dialog } from '../components/dialog';
import { Field, TextArea } from '../components/field';
import { Loaded } from '../components/loaded';
import { PasswordField } from '../components/password-field';
import { Ago } from '../components/time';
import { toast } from '../components/toasts';
import { Avatar, Card, FormFault, Pill } from '../components/ui';
import { useSending } from '../components/use-sending';
import { device } from '../lib/device';
import { useTitle } from '../lib/title';
import { Suspensions } from './settings-suspension';
import { AppTokens } from './settings-tokens';
import css from './settings.module.css';

const BIO_MAX = 300;

export default function SettingsPage() {
  useTitle('Settings');
  const { user } = useSession();
  if (user === null) return null;
  return (
    <div className={css.page}>
      <div className={css.head}>
        <Avatar name={user.display_name} size="large" />
        <div>
          <h1>Settings</h1>
          <p>
            @{user.login} · {user.email}
          </p>
        </div>
      </div>
      <Suspensions />
      <Profile user={user} />
      <Password />
      <Logins />
      <AppTokens />
      <DeleteAccount login={user.login} />
    </div>
  );
}

function Profile({ user }: { user: User }) {
  const [name, setName] = useState(user.display_name);
  const [email, setEmail] = useState(user.email);
  const [bio, setBio] = useState(user.bio);
  const [password, setPassword] = useState('');
  const newEmail = email.trim().toLowerCase() !== user.email;
  const { busy, send, at, apart } = useSending();

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      const changed = await api<User>('PATCH', '/me', {
        body: {
          display_name: name.trim(),
          bio,
          ...(newEmail && { email: email.trim(), current_password: password }),
        },
      });
      setUser(changed);
      setEmail(changed.email);
      setPassword('');
      toast('Your profile is saved.');
    });
  }

  return (
    <Card title="Profile" about="What others see of you.">
      <form className={css.form} onSubmit={submit}>
        <FormFault text={apart(['display_name', 'email', 'bio', 'current_password'])} />
        <div className={css.pair}>
          <Field
            label="Display name"
            required
            maxLength={40}
            value={name}
            onChange={(event) => setName(event.target.value)}
            fault={at('display_name')}
            hint={`Your address stays /${user.login}.`}
          />
          <Field
            label="E-mail"
            type="email"
            autoComplete="email"
            required
            value={email}
            onChange={(event) => setEmail(event.target.value)}
            fault={at('email')}
            hint="Only for you: never shown."
          />
        </div>
        {newEmail && (
          <PasswordField
            label="Your password, for the new address"
            autoComplete="current-password"
            required
            value={password}
            onChange={setPassword}
            fault={at('current_password')}
          />
        )}
        <TextArea
          label="About you"
          maxLength={BIO_MAX}
          value={bio}
          onChange={(event) => setBio(event.target.value)}
          fault={at('bio')}
          hint={`Under your player. ${BIO_MAX - bio.length} characters left.`}
        />
        <div className={css.actions}>
          <Button type="submit" look="primary" busy={busy}>
            Save profile
          </Button>
        </div>
      </form>
    </Card>
  );
}

function Password() {
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const { busy, send, at, apart } = useSending();

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await api('POST', '/me/password', {
        body: { current_password: current, new_password: next },
      });
      setCurrent('');
      setNext('');
      toast('Your password is changed. Other devices are logged out.');
    });
  }

  return (
    <Card title="Password" about="Changing it logs out every other device.">
      <form className={css.form} onSubmit={submit}>
        <FormFault text={apart(['current_password', 'new_password'])} />
        <div className={css.pair}>
          <PasswordField
            label="Current password"
            autoComplete="current-password"
            required
            value={current}
            onChange={setCurrent}
            fault={at('current_password')}
          />
          <PasswordField
            label="New password"
            autoComplete="new-password"
            required
            minLength={8}
            value={next}
            onChange={setNext}
            fault={at('new_password')}
            hint="8 characters or more."
          />
        </div>
        <div className={css.actions}>
          <Button type="submit" busy={busy}>
            Change password
          </Button>
        </div>
      </form>
    </Card>
  );
}

function Logins() {
  const logins = useResource('logins', (signal) =>
    api<Page<LoginSession>>('GET', '/me/logins?limit=100', { signal }),
  );
  const [ending, setEnding] = useState<string | null>(null);

  async function end(id: string) {
    setEnding(id);
    try {
      await api('DELETE', `/me/logins/${id}`);
      toast('That device is logged out.');
      logins.reload();
    } catch (error) {
      toast(explain(error), { danger: true });
    } finally {
      setEnding(null);
    }
  }

  return (
    <Card
      title="Where you are logged in"
      about="End any that you do not know, then change your password."
    >
      <Loaded of={logins} ghost={css.ghost}>
        {({ items }) => (
          <ul className={css.logins}>
            {items.map((login) => (
              <li key={login.id}>
                <div>
                  <strong>{device(login.user_agent)}</strong>{' '}
                  {login.current && <Pill tone="ok">This device</Pill>}
                  <p>
                    {login.ip && <>{login.ip} · </>}last used <Ago at={login.last_used_at} />
                  </p>
                </div>
                {!login.current && (
                  <Button
                    look="quiet"
                    small
                    busy={ending === login.id}
                    aria-label={`Log out ${device(login.user_agent)}`}
                    onClick={() => void end(login.id)}
                  >
                    Log out
                  </Button>
                )}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </Card>
  );
}

function DeleteAccount({ login }: { login: string }) {
  const [open, setOpen] = useState(false);
  const [password, setPassword] = useState('');
  const [, navigate] = useLocation();
  const { busy, send, at, apart } = useSending();

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await api('DELETE', '/me', { body: { password } });
      forgetUser();
      toast('Your account is deleted.');
      navigate('/', { replace: true });
    });
  }

  return (
    <Card
      title="Delete account"
      about="Your channel, its keys and everything about you go at once. Nobody can bring them back."
    >
      <Button look="quiet" icon="trash" onClick={() => setOpen(true)}>
        Delete my account…
      </Button>
      <Dialog open={open} title={`Delete @${login}?`} onClose={() => setOpen(false)}>
        <form className={css.form} onSubmit={submit}>
          <p>This cannot be undone. A running stream ends now. Your password, to be sure:</p>
          <FormFault text={apart(['password'])} />
          <PasswordField
            label="Password"
            autoComplete="current-password"
            required
            value={password}
            onChange={setPassword}
            fault={at('password')}
          />
          <div className={css.actions}>
            <Button onClick={() => setOpen(false)}>Keep it</Button>
            <Button type="submit" look="danger" busy={busy}>
              Delete for ever
            </Button>
          </div>
        </form>
      </Dialog>
    </Card>
  );
}
