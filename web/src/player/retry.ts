import { ErrorDetails, ErrorTypes, type ErrorData } from 'hls.js/light';
import { pauseBefore } from '../lib/pause';

const PAUSES_MS = [400, 6000] as const;

/** Tries again after pauses that grow, until something worked. */
export class Retry {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;

  constructor(private readonly again: () => void) {}

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.again, pauseBefore(this.failures++, PAUSES_MS));
  }

  /** It worked: the next failure is a first one. */
  worked() {
    this.failures = 0;
  }

  stop() {
    clearTimeout(this.timer);
  }
}

/** What a fatal error of hls.js comes from: codecs, the decoder, or what was (not) received. */
export function causeOf(data: ErrorData, levels: number): 'codecs' | 'decoder' | 'network' {
  if (data.type !== ErrorTypes.MEDIA_ERROR) return 'network';
  const unknown = data.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
  return unknown || levels === 0 ? 'codecs' : 'decoder';
}
