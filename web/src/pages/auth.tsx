import { type ReactNode, type SubmitEvent, useEffect, useState } from 'react';
import { Link, Redirect, useLocation, useSearch } from 'wouter';
import { api } from '../api/client';
import { useInstance } from '../api/instance';
import { logIn, register, useSession } from '../api/session';
import { Button, ButtonLink } from '../components/button';
import { Field } from '../components/field';
import { PasswordField } from '../components/password-field';
import { toast } from '../components/toasts';
import { FormFault } from '../components/ui';
import { useSending } from '../components/use-sending';
import { returnPath } from '../lib/routes';
import { useTitle } from '../lib/title';
import css from './auth.module.css';

function Frame({
  title,
  about,
  children,
  foot,
}: {
  title: string;
  about?: ReactNode;
  children: ReactNode;
  foot?: ReactNode;
}) {
  useTitle(title);
  return (
    <div className={css.page}>
      <div className={css.sheet}>
        <h1>{title}</h1>
        {about !== undefined && <p className={css.about}>{about}</p>}
        {children}
        {foot !== undefined && <p className={css.foot}>{foot}</p>}
      </div>
    </div>
  );
}

export function LoginPage() {
  const session = useSession();
  const search = useSearch();
  const instance = useInstance();
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const { busy, fault, send } = useSending();
  if (session.status === 'signed-in') return <Redirect to={returnPath(search)} replace />;

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(() => logIn({ login: login.trim(), password }));
  }

  return (
    <Frame
      title="Log in"
      foot={
        instance?.registration_open !== false && (
          <>
            New here? <Link href={`/register${search && `?${search}`}`}>Make an account</Link>
          </>
        )
      }
    >
      <form className={css.form} onSubmit={submit}>
        <FormFault text={fault} />
        <Field
          label="Name or e-mail"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          value={login}
          onChange={(event) => setLogin(event.target.value)}
        />
        <PasswordField
          label="Password"
          autoComplete="current-password"
          required
          value={password}
          onChange={setPassword}
        />
        <Button type="submit" look="primary" wide busy={busy}>
          Log in
        </Button>
        <Link href="/forgot" className={css.aside}>
          Forgotten your password?
        </Link>
      </form>
    </Frame>
  );
}

const LOGIN_SHAPE = /^[a-z0-9][a-z0-9_]{2,24}$/;

export function RegisterPage() {
  const session = useSession();
  const instance = useInstance();
  const search = useSearch();
  const [, navigate] = useLocation();
  const [login, setLogin] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const { busy, send, at, apart } = useSending();
  const next = search ? returnPath(search) : '/dashboard';
  if (session.status === 'signed-in') return <Redirect to={next} replace />;
  if (instance?.registration_open === false) {
    return (
      <Frame
        title="Registration is closed"
        about="Accounts here are made by the people who run this site. Ask them for one."
      >
        <ButtonLink href="/" look="quiet" wide>
          See who is live
        </ButtonLink>
      </Frame>
    );
  }

  const name = login.trim().toLowerCase();
  const misshapen = name !== '' && !LOGIN_SHAPE.test(name);

  function submit(event: SubmitEvent) {
    event.preventDefault();
    if (misshapen) return;
    void send(async () => {
      await register({ login: name, email: email.trim(), password });
      navigate(next, { replace: true });
    });
  }

  return (
    <Frame
      title="Make your channel"
      about="One account to watch and to stream. You can go live a minute from now."
      foot={
        <>
          Have an account? <Link href={`/login${search && `?${search}`}`}>Log in</Link>
        </>
      }
    >
      <form className={css.form} onSubmit={submit}>
        <FormFault text={apart(['login', 'email', 'password'])} />
        <Field
          label="Name"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          maxLength={25}
          value={login}
          onChange={(event) => setLogin(event.target.value)}
          fault={
            at('login') ??
            (misshapen && login.trim().length > 2
              ? 'Use 3 to 25 letters a–z, digits and _, not beginning with _.'
              : null)
          }
          hint={
            <>
              Your address: {location.host}/<b>{name || 'name'}</b>
            </>
          }
        />
        <Field
          label="E-mail"
          type="email"
          autoComplete="email"
          required
          value={email}
          onChange={(event) => setEmail(event.target.value)}
          fault={at('email')}
          hint="For a forgotten password. Never shown."
        />
        <PasswordField
          label="Password"
          autoComplete="new-password"
          required
          minLength={8}
          value={password}
          onChange={setPassword}
          fault={at('password')}
          hint="8 characters or more; a sentence of your own is best."
        />
        <Button type="submit" look="primary" wide busy={busy}>
          Make my channel
        </Button>
        {instance?.has_rules && (
          <p className={css.rules}>
            By joining you agree to the <Link href="/about">rules of this site</Link>.
          </p>
        )}
      </form>
    </Frame>
  );
}

export function ForgotPage() {
  const instance = useInstance();
  const [email, setEmail] = useState('');
  const [sent, setSent] = useState(false);
  const { busy, send, at, apart } = useSending();

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await api('POST', '/auth/forgot', { body: { email: email.trim() } });
      setSent(true);
    });
  }

  if (instance?.mail_enabled === false) {
    return (
      <Frame
        title="Forgotten password"
        about="This site sends no e-mail. Ask the people who run it: they can set a new password for you."
      >
        <ButtonLink href="/login" look="quiet" wide>
          Back to log in
        </ButtonLink>
      </Frame>
    );
  }
  if (sent) {
    return (
      <Frame
        title="Look into your inbox"
        about={
          <>
            If <b>{email}</b> belongs to an account, a link to choose a new password is on its way.
            It works for a short time only. Nothing there? Look among the junk mail.
          </>
        }
      >
        <Button look="quiet" wide onClick={() => setSent(false)}>
          Use another address
        </Button>
      </Frame>
    );
  }
  return (
    <Frame
      title="Forgotten password"
      about="We send a link to choose a new one."
      foot={<Link href="/login">Back to log in</Link>}
    >
      <form className={css.form} onSubmit={submit}>
        <FormFault text={apart(['email'])} />
        <Field
          label="E-mail of your account"
          type="email"
          autoComplete="email"
          required
          value={email}
          onChange={(event) => setEmail(event.target.value)}
          fault={at('email')}
        />
        <Button type="submit" look="primary" wide busy={busy}>
          Send the link
        </Button>
      </form>
    </Frame>
  );
}

/** The token of the link in the mail. It stands behind the #, which browsers send to nobody. */
function mailedToken(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get('token');
}

export function ResetPage() {
  const [token, setToken] = useState(mailedToken);
  const [, navigate] = useLocation();
  const [password, setPassword] = useState('');
  const { busy, send, at, apart } = useSending();
  useEffect(() => {
    function take() {
      const found = mailedToken();
      if (found === null) return;
      setToken(found);
      // Out of the address at once: tokens do not belong in the history or in a screenshot.
      history.replaceState(history.state, '', '/reset');
    }
    take();
    addEventListener('hashchange', take);
    return () => removeEventListener('hashchange', take);
  }, []);

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await api('POST', '/auth/reset', { body: { token, password } });
      toast('Your password is changed. Log in with it.');
      navigate('/login', { replace: true });
    });
  }

  if (token === null) {
    return (
      <Frame
        title="This link is not whole"
        about="Open the link from the e-mail again, or ask for a new one."
      >
        <ButtonLink href="/forgot" look="primary" wide>
          Ask for a new link
        </ButtonLink>
      </Frame>
    );
  }
  return (
    <Frame title="Choose a new password" about="All other logins of the account end with it.">
      <form className={css.form} onSubmit={submit}>
        <FormFault text={apart(['password'])} />
        <PasswordField
          label="New password"
          autoComplete="new-password"
          required
          minLength={8}
          value={password}
          onChange={setPassword}
          fault={at('password')}
          hint="8 characters or more; a sentence of your own is best."
        />
        <Button type="submit" look="primary" wide busy={busy}>
          Set the password
        </Button>
        {apart(['password']) !== null && (
          <Link href="/forgot" className={css.aside}>
            Ask for a new link
          </Link>
        )}
      </form>
    </Frame>
  );
}
