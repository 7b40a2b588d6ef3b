/** Who is signed in: one store for the whole page. */
import { useSyncExternalStore } from 'react';
import { pauseBefore } from '../lib/pause';
import { api, dropLogin, hasLogin, mayPass, rememberExpiry } from './client';
import type { User } from './types';

type Session =
  /** `error`: why it could not be asked yet; it is asked again. */
  | { status: 'unknown'; user: null; error?: unknown }
  | { status: 'anonymous'; user: null }
  | { status: 'signed-in'; user: User };

const PAUSES_MS = [700, 10_000] as const;

let session: Session = { status: 'unknown', user: null };
const listeners = new Set<() => void>();

function set(next: Session) {
  session = next;
  listeners.forEach((listener) => listener());
}

export function setUser(user: User) {
  set({ status: 'signed-in', user });
}

export function forgetUser() {
  dropLogin();
  set({ status: 'anonymous', user: null });
}

/** Ask once at start. A browser without a login never asks, so nobody's console shows a 401. */
export async function loadSession(): Promise<void> {
  if (!hasLogin()) {
    set({ status: 'anonymous', user: null });
    return;
  }
  for (let failures = 0; ; failures++) {
    try {
      setUser(await api<User>('GET', '/me'));
      return;
    } catch (error) {
      if (!mayPass(error)) {
        forgetUser();
        return;
      }
      // Not reached: whether somebody is logged in stays unknown, so nobody is sent to the login.
      if (failures > 0) set({ status: 'unknown', user: null, error });
    }
    const pauseMs = pauseBefore(failures, PAUSES_MS);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

interface Credentials {
  login: string;
  password: string;
}

interface Registration extends Credentials {
  email: string;
}

/** Make an account; it is logged in at once. */
export async function register(account: Registration): Promise<void> {
  await open('/auth/register', { ...account });
}

export async function logIn({ login, password }: Credentials): Promise<void> {
  await open('/auth/login', { login, password });
}

async function open(path: string, body: Record<string, string>): Promise<void> {
  const answer = await api<{ user: User; expires_in: number }>('POST', path, {
    body: { ...body, session: 'cookie' },
  });
  rememberExpiry(answer.expires_in);
  setUser(answer.user);
}

export async function logOut(): Promise<void> {
  await api('POST', '/auth/logout');
  forgetUser();
}

export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => session,
  );
}
