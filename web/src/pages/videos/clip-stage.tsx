import { useCallback, useEffect, useState } from 'react';
import { useResource } from '../../api/use-resource';
import { clips, type ClipDetail } from '../../api/videos';
import { addressOf } from '../../player/address';
import type { Chapter } from '../../player/scale';
import type { VideoPlayer } from '../../player/video-player';
import { VideoView } from '../../player/video-view';
import channelCss from '../channel.module.css';

/** A clip that is being made takes a second or two, and so does its file afterwards. */
const MAKING_MS = 700;
/** One whose file is not there after so long will not have one, ms. */
const FILE_WITHIN_MS = 60_000;
const NO_CHAPTERS: readonly Chapter[] = [];

/** A clip, asked for again while it or its file is being made. */
export function useClip(id: string) {
  const [making, setMaking] = useState(false);
  const found = useResource(`clip/${id}`, (signal) => clips.get(id, signal), {
    everyMs: making ? MAKING_MS : undefined,
  });
  const clip = found.data;
  useEffect(() => setMaking(clip !== undefined && isMade(clip)), [clip]);
  return found;
}

function isMade({ status, download_url, created_at }: ClipDetail): boolean {
  const young = Date.now() - Date.parse(created_at) < FILE_WITHIN_MS;
  return status === 'processing' || (status === 'ready' && download_url === null && young);
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
