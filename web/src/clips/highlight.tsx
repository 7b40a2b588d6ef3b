import { useId, useState, type SubmitEvent } from 'react';
import { videos, type VideoDetail } from '../api/videos';
import { Button } from '../components/button';
import { Dialog } from '../components/dialog';
import { Field } from '../components/field';
import { FormFault } from '../components/ui';
import { useSending } from '../components/use-sending';
import { formatClock } from '../lib/format';
import css from './clips.module.css';
import { HIGHLIGHT, cutAt, formatTenths, moved, readClock, type Cut } from './cut';
import { Strip } from './strip';
import { usePreview, type Material } from './use-preview';

const TITLE_MAX = 140;
/** What is chosen at first, s. */
const FIRST_S = 300;
const STEPS = [1, 10, 60] as const;

/** A longer cut that becomes a video of its own: its ends are dragged, written, or taken from the picture. */
export default function HighlightEditor({
  video,
  around,
  onClose,
  onMade,
}: {
  video: Material;
  /** The playhead, s. */
  around: number;
  onClose: () => void;
  onMade: (highlight: VideoDetail) => void;
}) {
  const [whole] = useState<Cut>({ start: 0, end: video.duration_s });
  const [cut, setCut] = useState(() => cutAt(around, FIRST_S, whole, HIGHLIGHT));
  const [title, setTitle] = useState(video.title);
  const { busy, at: faultAt, apart, send } = useSending();
  const preview = usePreview(video, cut, false);

  function move(which: 'start' | 'end', to: number) {
    const next = moved(cut, which, to, whole, HIGHLIGHT);
    setCut(next);
    preview.show(which === 'start' ? next.start : Math.max(next.start, next.end - 0.1));
  }

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      const duration_s = Math.round((cut.end - cut.start) * 10) / 10;
      const body = { start_s: cut.start, duration_s, title: title.trim() };
      onMade(await videos.highlight(video.id, body));
    });
  }

  return (
    <Dialog open title="Make a highlight" wide onClose={onClose}>
      <form className={css.editor} onSubmit={submit} data-testid="highlight-editor">
        <div className={css.screen} ref={preview.stage} />
        <Strip
          stretch={whole}
          cut={cut}
          line={preview.line}
          storyboardUrl={video.storyboard_url}
          steps={STEPS}
          of="the highlight"
          onMove={move}
          onShow={preview.show}
          onPlay={preview.play}
        />
        <div className={css.ends}>
          {(['start', 'end'] as const).map((which) => (
            <EndField
              key={which}
              label={which === 'start' ? 'From' : 'To'}
              at={cut[which]}
              onMove={(to) => move(which, to)}
              onHere={() => move(which, preview.at())}
            />
          ))}
          <output className="tabular" aria-live="polite" aria-label="Length">
            {formatClock(cut.end - cut.start)}
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
          value={title}
          onChange={(event) => setTitle(event.target.value)}
          fault={faultAt('title')}
          hint="It becomes a video of its own and stays when this one goes."
        />
        <div className={css.buttons}>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" icon="star" busy={busy}>
            Make the highlight
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** One end, as a time: taken over when it is left or Enter is pressed. */
function EndField({
  label,
  at,
  onMove,
  onHere,
}: {
  label: string;
  at: number;
  onMove: (to: number) => void;
  onHere: () => void;
}) {
  const id = useId();
  const [text, setText] = useState<string | null>(null);
  function take() {
    const to = text === null ? null : readClock(text);
    if (to !== null) onMove(to);
    setText(null);
  }
  return (
    <div className={css.end}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="tabular"
        inputMode="decimal"
        autoComplete="off"
        value={text ?? formatTenths(at)}
        onChange={(event) => setText(event.target.value)}
        onBlur={take}
        onKeyDown={(event) => {
          if (event.key !== 'Enter') return;
          event.preventDefault();
          take();
        }}
      />
      <Button
        small
        look="bare"
        title="Where the picture is now"
        aria-label={`${label} here, where the picture is now`}
        onClick={onHere}
      >
        Here
      </Button>
    </div>
  );
}
