/**
 * The files that this tab is sending. They go on while one looks at other pages; after a reload the server
 * still knows how much of each is there, and the same file goes on from that.
 */
import { Upload as Tus, type DetailedError } from 'tus-js-client';
import { csrfHeader, freshLogin } from '../api/client';
import { Store } from '../player/store';

export interface Sending {
  key: number;
  name: string;
  size: number;
  sent: number;
  /** The server's, once it has begun. */
  id: string | null;
  state: 'sending' | 'paused' | 'failed' | 'sent';
  /** Why it stopped. */
  fault: string | null;
  /** Bytes/s, measured lately. */
  rate: number | null;
}

/** Sent in one request, so that a login that ends meanwhile is renewed between two of them. */
const CHUNK = 16 * 2 ** 20;
const RETRIES_MS = [0, 1000, 3000, 5000, 10_000, 20_000, 30_000];
/** What no repetition mends. */
const FINAL = new Set([400, 403, 404, 410, 412, 413, 415, 422]);

const store = new Store<{ items: readonly Sending[] }>({ items: [] });
const running = new Map<number, Tus>();
let nextKey = 1;

export const subscribe = store.subscribe;
export const sendings = () => store.snapshot().items;

function change(key: number, what: Partial<Sending>) {
  store.set({
    items: sendings().map((each) => (each.key === key ? { ...each, ...what } : each)),
  });
}

/** Words for people: the server's where it gave some. */
function reasonOf(error: Error | DetailedError): string {
  const body = 'originalResponse' in error ? error.originalResponse?.getBody() : undefined;
  if (body) {
    try {
      const told = JSON.parse(body) as { error?: { message?: string } };
      if (told.error?.message) return told.error.message;
    } catch {
      // No JSON: the words below will do.
    }
  }
  return 'The connection broke off. What has arrived is kept.';
}

/** Send a file, from where `known` (an upload that was begun before) stands. */
export function send(file: File, known?: { id: string; url: string; received: number }) {
  const key = nextKey++;
  const item: Sending = {
    key,
    name: file.name,
    size: file.size,
    sent: known?.received ?? 0,
    id: known?.id ?? null,
    state: 'sending',
    fault: null,
    rate: null,
  };
  store.set({ items: [item, ...sendings()] });
  let mark = { at: performance.now(), sent: item.sent };
  const tus = new Tus(file, {
    endpoint: '/api/v1/uploads',
    uploadUrl: known?.url,
    chunkSize: CHUNK,
    retryDelays: RETRIES_MS,
    storeFingerprintForResuming: false,
    metadata: { filename: file.name, filetype: file.type },
    onBeforeRequest: async (request) => {
      await freshLogin();
      for (const [name, value] of Object.entries(csrfHeader())) request.setHeader(name, value);
    },
    onShouldRetry: (error) => {
      const status = error.originalResponse?.getStatus() ?? 0;
      if (status === 401) void freshLogin(true);
      return !FINAL.has(status);
    },
    onProgress: (sent) => {
      const now = performance.now();
      const past = (now - mark.at) / 1000;
      if (past < 1) {
        change(key, { sent });
        return;
      }
      change(key, { sent, rate: Math.max(0, sent - mark.sent) / past });
      mark = { at: now, sent };
    },
    onAfterResponse: () => {
      const id = tus.url?.split('/').pop() ?? null;
      if (id !== null) change(key, { id });
    },
    onSuccess: () => {
      running.delete(key);
      change(key, { state: 'sent', sent: file.size });
    },
    onError: (error) => change(key, { state: 'failed', fault: reasonOf(error) }),
  });
  running.set(key, tus);
  tus.start();
}

export function pause(key: number) {
  void running.get(key)?.abort();
  change(key, { state: 'paused', rate: null });
}

export function resume(key: number) {
  change(key, { state: 'sending', fault: null });
  running.get(key)?.start();
}

/** Take it off the list; what the server has is the caller's matter. */
export function drop(key: number) {
  void running.get(key)?.abort();
  running.delete(key);
  store.set({ items: sendings().filter((each) => each.key !== key) });
}

addEventListener('beforeunload', (event) => {
  if (sendings().some(({ state }) => state === 'sending')) event.preventDefault();
});
