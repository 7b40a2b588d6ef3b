/** The REST client: JSON in and out, cookies and the CSRF header, one silent refresh for all callers. */

const BASE = '/api/v1';
const EXPIRY_KEY = 'footlight.access-expires';
/** Refresh this long before the access cookie ends, ms: clocks differ and requests take time. */
const EXPIRY_MARGIN_MS = 30_000;

export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | null = null,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** Words for people from any failure; the server's own words where it gave some. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.retryAfter !== null) {
      return `${error.message} Try again in ${Math.ceil(error.retryAfter)} seconds.`;
    }
    return error.message;
  }
  return 'The server cannot be reached. Check your connection and try again.';
}

/** Whether the same request may succeed in a while: nobody answered, or the server could not just then. */
export function mayPass(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status >= 500;
}

function cookie(name: string): string | null {
  const found = document.cookie.split('; ').find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : null;
}

/** Whether this browser holds a login at all: its CSRF cookie is the one part that scripts may read. */
export function hasLogin(): boolean {
  return cookie('footlight_csrf') !== null;
}

/** For requests that do not go through `api`: the header that says that a page of ours asks. */
export function csrfHeader(): Record<string, string> {
  const token = cookie('footlight_csrf');
  return token === null ? {} : { 'X-CSRF-Token': token };
}

/** The login is over: without its readable cookie no page asks for it again. */
function forgetLogin() {
  document.cookie = 'footlight_csrf=; Max-Age=0; Path=/';
}

/** Forget a login that the server has ended, so that the next page does not ask with it again. */
export function dropLogin() {
  rememberExpiry(null);
  document.cookie = 'footlight_csrf=; Max-Age=0; Path=/; SameSite=Lax';
}

/** Remember when the access cookie ends (seconds from now), so that it is renewed before and not after a 401. */
export function rememberExpiry(expiresIn: number | null) {
  try {
    if (expiresIn === null) localStorage.removeItem(EXPIRY_KEY);
    else localStorage.setItem(EXPIRY_KEY, String(Date.now() + expiresIn * 1000));
  } catch {
    // Storage may be forbidden; the 401 path below still renews.
  }
}

function expired(): boolean {
  try {
    const at = Number(localStorage.getItem(EXPIRY_KEY));
    return at !== 0 && Date.now() > at - EXPIRY_MARGIN_MS;
  } catch {
    return false;
  }
}

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
interface Options {
  body?: unknown;
  /** Sent as multipart/form-data instead of a JSON body. */
  form?: FormData;
  signal?: AbortSignal;
}

async function send(
  method: Method,
  path: string,
  { body, form, signal }: Options,
): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET') Object.assign(headers, csrfHeader());
  return fetch(BASE + path, {
    method,
    headers,
    signal,
    credentials: 'same-origin',
    body: form ?? (body === undefined ? undefined : JSON.stringify(body)),
  });
}

interface ErrorBody {
  error?: { code?: string; message?: string; field?: string; retry_after?: number };
}

async function failure(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as ErrorBody;
  const { code = `http_${response.status}`, message, field, retry_after } = body.error ?? {};
  // A failure that has only the name of its status says nothing to people.
  const said = response.status < 500 || !code.startsWith('http_') ? message : undefined;
  return new ApiError(
    response.status,
    code,
    said ?? 'The server did not answer as expected. Try again in a moment.',
    field ?? null,
    retry_after ?? null,
  );
}

let refreshing: Promise<boolean> | null = null;

/**
 * Renew the access cookie once, however many callers ask. Rotation makes a second use of one refresh
 * token look like theft, so other tabs are kept out with a lock where the browser has locks, and a
 * tab that waited looks first whether the other one did the work.
 */
function refresh(): Promise<boolean> {
  refreshing ??= exclusively(async () => {
    const response = await send('POST', '/auth/refresh', {});
    // Another tab was faster: its cookies are ours too.
    if (response.status === 409) return true;
    if (!response.ok) {
      rememberExpiry(null);
      if (response.status === 401) forgetLogin();
      return false;
    }
    const { expires_in } = (await response.json()) as { expires_in: number };
    rememberExpiry(expires_in);
    return true;
  }).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

function storedExpiry(): string | null {
  try {
    return localStorage.getItem(EXPIRY_KEY);
  } catch {
    return null;
  }
}

async function exclusively(renew: () => Promise<boolean>): Promise<boolean> {
  // navigator.locks is missing outside secure contexts (plain HTTP at home).
  const locks = (navigator as { locks?: LockManager }).locks;
  if (!locks) return renew();
  const before = storedExpiry();
  return locks.request('footlight-refresh', async () => {
    const now = storedExpiry();
    return now !== null && now !== before && !expired() ? true : renew();
  });
}

/**
 * For what the browser opens with the login's cookie and cannot repeat after a 401 (a WebSocket): renew it
 * if it has run out, or in any case.
 */
export async function freshLogin(inAnyCase = false): Promise<void> {
  if (inAnyCase || expired()) await refresh();
}

const NO_REFRESH = new Set(['/auth/login', '/auth/register', '/auth/refresh', '/auth/reset']);

/** One REST call. Gives the decoded body (undefined for 204); raises ApiError, or TypeError without a network. */
export async function api<T = void>(
  method: Method,
  path: string,
  options: Options = {},
): Promise<T> {
  const may = hasLogin() && !NO_REFRESH.has(path);
  let renewed = false;
  if (may && expired()) renewed = await refresh();
  let response = await send(method, path, options);
  // A login that is over for good is forgotten: what anybody may see is then asked for as a stranger.
  if (response.status === 401 && may && !renewed && ((await refresh()) || !hasLogin())) {
    response = await send(method, path, options);
  }
  if (!response.ok) throw await failure(response);
  if (response.status === 204 || response.headers.get('Content-Length') === '0') {
    return undefined as T;
  }
  return (await response.json().catch(() => undefined)) as T;
}
