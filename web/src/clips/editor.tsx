import { useRef, useState, type SubmitEvent } from 'react';
import { clips, type ClipDetail } from '../api/videos';
import { Button } from '../components/button';
import { Dialog } from '../components/dialog';
import { Field } from '../components/field';
import { FormFault } from '../components/ui';
import { useSending } from '../components/use-sending';
import { requestId } from '../lib/request-id';
import css from './clips.module.css';
import { CLIP, cutAt, formatTenths, moved, type Cut, type Stretch } from './cut';
import { Strip } from './strip';
import { usePreview, type Material } from './use-preview';

/** How much of a video is laid out to cut from, before and after the playhead, s. */
const BEFORE_S = 75;
const AFTER_S = 45;
/** Of something that is live: the newest. */
const LIVE_S = 90;
const FIRST_S = 30;
const TITLE_MAX = 140;
const STEPS = [0.1, 1, 5] as const;

export interface ClipEditorProps {
  video: Material;
  /** The playhead, s; null: the newest of a running broadcast. */
  around: number | null;
  onClose: () => void;
  onMade: (clip: ClipDetail) => void;
}

function stretchOf({ video, around }: Pick<ClipEditorProps, 'video' | 'around'>): Stretch {
  const end = video.duration_s;
  if (around === null) return { start: Math.max(0, end - LIVE_S), end };
  return { start: Math.max(0, around - BEFORE_S), end: Math.min(end, around + AFTER_S) };
}

/** Cut a clip: both ends are dragged or moved by keys in tenths of a second, and what is between plays. */
export default function ClipEditor({ video, around, onClose, onMade }: ClipEditorProps) {
  const [stretch] = useState(() => stretchOf({ video, around }));
  const [cut, setCut] = useState<Cut>(() =>
    around === null
      ? cutAt(stretch.end - FIRST_S, FIRST_S, stretch)
      : cutAt(around - FIRST_S * 0.7, FIRST_S, stretch),
  );
  const [title, setTitle] = useState(video.title);
  const asked = useRef({ of: '', id: '' });
  const { busy, at: faultAt, apart, send } = useSending();
  const preview = usePreview(video, cut, around === null);
  const length = cut.end - cut.start;

  function move(which: 'start' | 'end', to: number) {
    const next = moved(cut, which, to, stretch);
    setCut(next);
    preview.show(which === 'start' ? next.start : Math.max(next.start, next.end - 0.1));
  }

  function submit(event: SubmitEvent) {
    event.preventDefault();
    const wanted = {
      video: video.id,
      start_s: cut.start,
      duration_s: Math.round(length * 10) / 10,
      title: title.trim(),
    };
    // The same again, because the answer did not come, is not a second clip.
    const of = JSON.stringify(wanted);
    if (asked.current.of !== of) asked.current = { of, id: requestId() };
    const request_id = asked.current.id;
    void send(async () => onMade(await clips.make({ ...wanted, request_id })));
  }

  return (
    <Dialog open title="Make a clip" wide onClose={onClose}>
      <form className={css.editor} onSubmit={submit} data-testid="clip-editor">
        <div className={css.screen} ref={preview.stage} />
        <Strip
          stretch={stretch}
          cut={cut}
          line={preview.line}
          storyboardUrl={video.storyboard_url}
          steps={STEPS}
          of="the clip"
          onMove={move}
          onShow={preview.show}
          onPlay={preview.play}
        />
        <div className={css.figures}>
          <span className="tabular">
            {formatTenths(cut.start)} – {formatTenths(cut.end)}
          </span>
          <output className="tabular" aria-live="polite">
            {length.toFixed(1)} s
          </output>
          <Button
            small
            look="quiet"
            icon={preview.playing ? 'pause' : 'play'}
            onClick={preview.toggle}
          >
            {preview.playing ? 'Pause' : 'Play it'}
          </Button>
        </div>
        <FormFault text={apart(['title'])} />
        <Field
          label="Title"
          required
          maxLength={TITLE_MAX}
          placeholder="What happens in it?"
          value={title}
          onChange={(event) => setTitle(event.target.value)}
          fault={faultAt('title')}
          hint={`Up to ${CLIP.longest} s. Arrow keys move an end by 0.1 s, with Shift by 1 s.`}
        />
        <div className={css.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" icon="clip" busy={busy}>
            Make the clip
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
