import { useSyncExternalStore } from 'react';
import { api } from './client';
import type { Instance } from './types';

/** A banner, or a change of what the site allows, is seen this soon by who stays on a page. */
const EVERY_MS = 60_000;

let instance: Instance | null = null;
let asked: Promise<void> | null = null;
const listeners = new Set<() => void>();

async function load() {
  try {
    const found = await api<Instance>('GET', '/instance');
    if (JSON.stringify(found) === JSON.stringify(instance)) return;
    instance = found;
    listeners.forEach((listener) => listener());
  } catch {
    asked = null;
  }
}

function begin() {
  setInterval(() => {
    if (!document.hidden) void load();
  }, EVERY_MS);
  return load();
}

/** Ask again: something of it has just been changed here. */
export function reloadInstance() {
  void load();
}

/** This installation's name and what it allows; null until known. Asked for once, and then now and then. */
export function useInstance(): Instance | null {
  return useSyncExternalStore(
    (listener) => {
      asked ??= begin();
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => instance,
  );
}
