import Hls from 'hls.js/light';
import { useEffect, useRef, useState } from 'react';
import { videos, type VideoDetail } from '../api/videos';
import { addressOf } from '../player/address';
import { VideoPlayer } from '../player/video-player';
import type { Cut } from './cut';

/** What of a video there is to cut from. */
export type Material = Pick<
  VideoDetail,
  'id' | 'title' | 'playback_url' | 'urls_expire_at' | 'storyboard_url' | 'duration_s' | 'status'
>;

/** The cut plays over and over in a player of its own. */
export function usePreview(video: Material, cut: Cut, quiet: boolean) {
  const stage = useRef<HTMLDivElement>(null);
  const line = useRef<HTMLSpanElement>(null);
  const engine = useRef<VideoPlayer | null>(null);
  const now = useRef(cut);
  const [playing, setPlaying] = useState(false);
  useEffect(() => {
    now.current = cut;
  }, [cut]);

  useEffect(() => {
    const made = new VideoPlayer(Hls, async () => addressOf(await videos.get(video.id)), {
      startMuted: quiet,
    });
    engine.current = made;
    const element = made.screen.video;
    stage.current?.append(element);
    made.open(addressOf(video), now.current.start);
    let frame = 0;
    const watch = () => {
      const { start, end } = now.current;
      if (!element.paused && element.currentTime >= end) made.seekTo(start);
      line.current?.style.setProperty('--playhead', String(element.currentTime));
      setPlaying(!element.paused);
      frame = requestAnimationFrame(watch);
    };
    frame = requestAnimationFrame(watch);
    return () => {
      cancelAnimationFrame(frame);
      made.destroy();
      engine.current = null;
    };
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- one player for as long as it is open
  }, [video.id, quiet]);

  return {
    stage,
    line,
    playing,
    /** Where its playhead is. */
    at: () => engine.current?.screen.video.currentTime ?? 0,
    /** The picture at one place. */
    show: (at: number) => {
      engine.current?.screen.video.pause();
      engine.current?.seekTo(at);
    },
    play: () => {
      engine.current?.seekTo(now.current.start);
      void engine.current?.screen.play();
    },
    toggle: () => {
      if (playing) engine.current?.screen.video.pause();
      else {
        const { start, end } = now.current;
        const at = engine.current?.screen.video.currentTime ?? 0;
        if (at < start || at > end - 0.3) engine.current?.seekTo(start);
        void engine.current?.screen.play();
      }
    },
  };
}
