/**
 * Play, as far as the browser's rules for autoplay let us: with sound, else without (`onMuted` says so),
 * else not at all. `interrupted` is a play that something else has overtaken.
 */
export async function startPlaying(
  video: HTMLVideoElement,
  onMuted: () => void,
): Promise<'playing' | 'blocked' | 'interrupted'> {
  try {
    await video.play();
    return 'playing';
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return 'interrupted';
    if (video.muted) return 'blocked';
    video.muted = true;
    onMuted();
    return startPlaying(video, onMuted);
  }
}
