/** The end of what is buffered around the playhead, else of all that is buffered; null when nothing is. */
export function bufferEnd({ buffered, currentTime }: HTMLVideoElement): number | null {
  for (let n = 0; n < buffered.length; n += 1) {
    if (buffered.start(n) <= currentTime + 0.5 && buffered.end(n) >= currentTime) {
      return buffered.end(n);
    }
  }
  return buffered.length > 0 ? buffered.end(buffered.length - 1) : null;
}
