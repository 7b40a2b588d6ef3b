import { startPlaying } from './autoplay';
import { readPrefs, writePrefs } from './prefs';
import { EMPTY, type PlayerSnapshot } from './snapshot';
import { Store } from './store';

/**
 * The <video> and what the page is told of it: volume, autoplay's rules, the snapshot. What plays on it
 * is an engine's matter.
 */
export class Screen {
  /** Made here and put into the page by whoever shows it, so that loading need not wait for the page. */
  readonly video = document.createElement('video');
  private readonly store = new Store<PlayerSnapshot>(EMPTY);
  private readonly cleanUp = new AbortController();
  readonly subscribe = this.store.subscribe;
  readonly snapshot = this.store.snapshot;

  /** `remembers`: the viewer's volume is theirs to remember; a preview that starts silent is no choice of theirs. */
  constructor(private readonly remembers: boolean) {
    const { video } = this;
    video.playsInline = true;
    video.slot = 'media';
    const prefs = readPrefs();
    video.volume = prefs.volume;
    video.muted = !remembers || prefs.muted;
    video.preservesPitch = true;
    this.on('volumechange', () => this.onVolume());
  }

  get state(): PlayerSnapshot {
    return this.store.snapshot();
  }

  set(change: Partial<PlayerSnapshot>) {
    this.store.set(change);
  }

  /** Listen for as long as the screen is there. */
  on(type: keyof HTMLMediaElementEventMap, handle: () => void) {
    this.video.addEventListener(type, handle, { signal: this.cleanUp.signal });
  }

  onWindow(type: 'online', handle: () => void) {
    addEventListener(type, handle, { signal: this.cleanUp.signal });
  }

  async play() {
    const outcome = await startPlaying(this.video, () => this.set({ mutedByBrowser: true }));
    if (outcome === 'playing') this.set({ blocked: false });
    if (outcome === 'blocked') this.set({ blocked: true, waiting: false });
  }

  togglePlay() {
    if (this.video.paused) void this.play();
    else this.video.pause();
  }

  setVolume(volume: number) {
    this.video.volume = Math.min(1, Math.max(0, Math.round(volume * 100) / 100));
    if (this.video.volume > 0) this.video.muted = false;
  }

  unmute() {
    this.video.muted = false;
    if (this.video.volume === 0) this.video.volume = 1;
    this.set({ mutedByBrowser: false });
  }

  destroy() {
    this.cleanUp.abort();
    this.video.remove();
  }

  private onVolume() {
    const { volume, muted } = this.video;
    if (!muted) this.set({ mutedByBrowser: false });
    // What the browser's policy muted is not what the viewer wants remembered.
    if (this.remembers && !this.state.mutedByBrowser) writePrefs({ volume, muted });
  }
}
