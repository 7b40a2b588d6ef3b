import { useState } from 'react';
import { ApiError, explain } from '../api/client';

interface Fault {
  /** The field of the request that it is about; null when it is about all of it. */
  field: string | null;
  text: string;
}

export interface Sending {
  /** Under way. */
  busy: boolean;
  /** What went wrong the last time. */
  fault: string | null;
  /** What is wrong with one field. */
  at: (field: string) => string | null;
  /** What is wrong with none of these fields. */
  apart: (fields: readonly string[]) => string | null;
  send: (work: () => Promise<void>) => Promise<void>;
  /** Wrong before anything was sent; null forgets what went wrong. */
  refuse: (text: string | null) => void;
}

/** What a form's sending comes to. */
export function useSending(): Sending {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Fault | null>(null);

  async function send(work: () => Promise<void>) {
    setBusy(true);
    setFault(null);
    try {
      await work();
    } catch (error) {
      setFault({ field: error instanceof ApiError ? error.field : null, text: explain(error) });
    } finally {
      setBusy(false);
    }
  }

  const is = (field: string) => fault?.field === field;
  return {
    busy,
    fault: fault?.text ?? null,
    at: (field) => (fault !== null && is(field) ? fault.text : null),
    apart: (fields) => (fault !== null && !fields.some(is) ? fault.text : null),
    send,
    refuse: (text) => setFault(text === null ? null : { field: null, text }),
  };
}
