/** The end of what is buffered around the playhead, else of all that is buffered; null when nothing is. */
export function bufferEnd({ buffered, currentTime }: HTMLVideoElement): number | null {
  for (let n = 0; n < buffered.length; n += 1) {
    if (buffered.start(n) <= currentTime + 0.5 && buffered.end(n) >= currentTime) {
      return buffered.end(n);
    }
  }
  return buffered.length > 0 ? buffered.end(buffered.length - 1) : null;
}

/** Whether there is a picture at a time. */
export function isBuffered({ buffered }: HTMLVideoElement, at: number): boolean {
  for (let n = 0; n < buffered.length; n += 1) {
    if (at >= buffered.start(n) + 0.1 && at <= buffered.end(n) - 0.1) return true;
  }
  return false;
}

/** Go to a time, at the latest where the buffer ends. */
export function seekInside(video: HTMLVideoElement, to: number) {
  const end = bufferEnd(video);
  video.currentTime = end === null ? to : Math.max(0, Math.min(to, end - 0.05));
}
