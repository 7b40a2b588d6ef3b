import { useEffect, useRef, type RefObject } from 'react';
import type { Screen } from './screen';

interface Engine {
  readonly screen: Screen;
  step(by: number): void;
}

interface Actions {
  onTheatre?: () => void;
  onHelp: () => void;
  /** Of a live channel. */
  onLive?: () => void;
  /** To where it begins. */
  onStart?: () => void;
  /** Of a recording: further keys. */
  more?: Record<string, () => void>;
}

/** Keys that a focused control needs for itself are left to it. */
function belongsElsewhere(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  if (document.querySelector('dialog[open]')) return true;
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return true;
  // Space and Enter press a focused button or follow a link.
  const presses = event.key === ' ' || event.key === 'Enter';
  return presses && target.closest('button, a, summary, [role=button]') !== null;
}

async function togglePictureInPicture(video: HTMLVideoElement | null) {
  try {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else await video?.requestPictureInPicture();
  } catch {
    // Not every browser has it, and none has it before the first frame.
  }
}

/** The player's keys, on the whole page. `engine` null switches them off. */
export function useShortcuts(
  engine: Engine | null,
  stage: RefObject<HTMLElement | null>,
  actions: Actions,
) {
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  useEffect(() => {
    if (engine === null) return;
    const video = () => stage.current?.querySelector('video') ?? null;
    const press = (selector: string) =>
      stage.current?.querySelector<HTMLElement>(selector)?.click();
    const volume = (by: number) => engine.screen.setVolume((video()?.volume ?? 1) + by);
    const keys: Record<string, () => void> = {
      ' ': () => engine.screen.togglePlay(),
      k: () => engine.screen.togglePlay(),
      m: () => press('media-mute-button'),
      f: () => press('media-fullscreen-button'),
      i: () => void togglePictureInPicture(video()),
      t: () => latest.current.onTheatre?.(),
      j: () => engine.step(-10),
      l: () => (latest.current.onLive ? latest.current.onLive() : engine.step(10)),
      Home: () => latest.current.onStart?.(),
      '?': () => latest.current.onHelp(),
      ArrowUp: () => volume(0.05),
      ArrowDown: () => volume(-0.05),
      ArrowLeft: () => engine.step(-5),
      ArrowRight: () => engine.step(5),
    };
    const onKey = (event: KeyboardEvent) => {
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const action = latest.current.more?.[key] ?? keys[key];
      if (!action || belongsElsewhere(event)) return;
      event.preventDefault();
      action();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [engine, stage]);
}
