import { useCallback, useEffect, useState } from 'react';
import { useResource } from '../../api/use-resource';
import { clips, type ClipDetail } from '../../api/videos';
import { addressOf } from '../../player/address';
import type { Chapter } from '../../player/scale';
import type { VideoPlayer } from '../../player/video-player';
import { VideoView } from '../../player/video-view';
import channelCss from '../channel.module.css';

/** A clip that is being made takes a second or two. */
const MAKING_MS = 700;
const NO_CHAPTERS: readonly Chapter[] = [];

/** A clip, asked for again while it is being cut. */
export function useClip(id: string) {
  const [making, setMaking] = useState(false);
  const found = useResource(`clip/${id}`, (signal) => clips.get(id, signal), {
    everyMs: making ? MAKING_MS : undefined,
  });
  const status = found.data?.status;
  useEffect(() => setMaking(status === 'processing'), [status]);
  return found;
}

/** A clip's picture: it plays, or it is said why not. */
export function ClipStage({
  clip,
  onEngine,
}: {
  clip: ClipDetail;
  onEngine?: (engine: VideoPlayer | null) => void;
}) {
  const { playback_url } = clip;
  const renew = useCallback(() => Promise.resolve(addressOf({ playback_url })), [playback_url]);
  useEffect(() => {
    if (clip.status === 'ready') clips.view(clip.id).catch(() => undefined);
  }, [clip.id, clip.status]);
  if (playback_url === null) {
    const failed = clip.status === 'failed';
    return (
      <div className={channelCss.off} role="status">
        <h2>{failed ? 'This clip could not be made' : 'Cutting…'}</h2>
        <p>
          {failed ? (clip.error?.message ?? 'Cut it again from the video.') : 'A second or two.'}
        </p>
      </div>
    );
  }
  return (
    <VideoView
      id={clip.id}
      address={addressOf(clip)}
      renew={renew}
      label={clip.title}
      poster={clip.thumbnail_url}
      storyboardUrl={null}
      chapters={NO_CHAPTERS}
      shortcuts
      onEngine={onEngine}
    />
  );
}
