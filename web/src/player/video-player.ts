/** Plays a video or a clip, and keeps its address fresh where it is not everybody's. */
import type Hls from 'hls.js/light';
import type { Address } from './address';
import { unpublishFigures } from './figures';
import { Recording } from './recording';
import { Screen } from './screen';
import type { QualityChoice } from './snapshot';

/** An address is renewed this long before it ends, ms. */
const MARGIN_MS = 90_000;
const LEAST_MS = 5_000;

export class VideoPlayer {
  readonly screen: Screen;
  private readonly recording: Recording;
  private renewal: ReturnType<typeof setTimeout> | undefined;
  private address: Address | null = null;
  private dead = false;

  /** `renew` asks for an address that answers. `Engine` is hls.js, with or without captions. */
  constructor(
    Engine: typeof Hls,
    private readonly renew: () => Promise<Address>,
    { startMuted = false }: { startMuted?: boolean } = {},
  ) {
    this.screen = new Screen(!startMuted);
    this.recording = new Recording(
      this.screen,
      addressed(Engine, () => this.address),
      {
        renew: () => this.fresh(),
      },
    );
    const tracks = this.screen.video.textTracks;
    tracks.addEventListener('addtrack', () => this.tellCaptions());
    tracks.addEventListener('removetrack', () => this.tellCaptions());
  }

  open(address: Address, at: number, paused = false) {
    this.take(address);
    this.recording.open({ url: address.url, from: { media: at }, paused });
  }

  seekTo(at: number) {
    this.recording.seek({ media: at });
  }

  step(by: number) {
    this.seekTo(this.screen.video.currentTime + by);
  }

  choose(choice: QualityChoice) {
    this.recording.choose(choice);
  }

  setRate(rate: number) {
    this.recording.setRate(rate);
  }

  /** Show these captions, -1: none. */
  caption(index: number) {
    [...this.screen.video.textTracks].forEach((track, at) => {
      track.mode = at === index ? 'showing' : 'hidden';
    });
    this.screen.set({ caption: index });
  }

  destroy() {
    this.dead = true;
    clearTimeout(this.renewal);
    this.recording.close();
    this.screen.destroy();
    unpublishFigures();
  }

  private tellCaptions() {
    const captions = [...this.screen.video.textTracks].flatMap(
      ({ kind, label, language }, index) =>
        kind === 'captions' || kind === 'subtitles'
          ? [{ index, name: label || language || 'Captions' }]
          : [],
    );
    this.screen.set({ captions });
  }

  private take(address: Address) {
    this.address = address;
    clearTimeout(this.renewal);
    if (address.expiresAt === null) return;
    const wait = Math.max(LEAST_MS, address.expiresAt - Date.now() - MARGIN_MS);
    this.renewal = setTimeout(() => void this.fresh().catch(() => undefined), wait);
  }

  private async fresh(): Promise<string> {
    const address = await this.renew();
    if (!this.dead) {
      this.take(address);
      this.recording.readdress(address.url);
    }
    return address.url;
  }
}

const TOKEN = /\/(vod|clip-media)\/~[^/]+\//;

/** An address with the token of another. */
export function withTokenOf(url: string, fresh: string): string {
  const token = TOKEN.exec(fresh)?.[0];
  return token === undefined ? url : url.replace(TOKEN, token);
}

/** hls.js that asks with the newest token: playlists name their segments relative to an older one. */
function addressed(Engine: typeof Hls, address: () => Address | null): typeof Hls {
  return class extends Engine {
    constructor(config?: ConstructorParameters<typeof Hls>[0]) {
      super({
        ...config,
        xhrSetup: (xhr, url) => {
          const now = address()?.url;
          const asked = now === undefined ? url : withTokenOf(url, now);
          if (asked !== url) xhr.open('GET', asked, true);
        },
      });
    }
  };
}
