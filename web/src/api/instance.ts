import { useSyncExternalStore } from 'react';
import { api } from './client';
import type { Instance } from './types';

let instance: Instance | null = null;
let asked: Promise<void> | null = null;
const listeners = new Set<() => void>();

async function load() {
  try {
    instance = await api<Instance>('GET', '/instance');
    listeners.forEach((listener) => listener());
  } catch {
    asked = null;
  }
}

/** This installation's name and what it allows; null until known. Asked once for the whole page. */
export function useInstance(): Instance | null {
  return useSyncExternalStore(
    (listener) => {
      asked ??= load();
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => instance,
  );
}
