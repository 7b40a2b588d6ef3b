import { useState } from 'react';
import { formatClock } from '../lib/format';
import { CopyField } from './copy-field';
import { Dialog } from './dialog';
import { Switch } from './field';

/** A place this early is the beginning, s. */
const BEGINNING_S = 10;

/** Its address, and the text that puts its player into another page. */
export function ShareDialog({
  what,
  path,
  title,
  at = 0,
  open,
  onClose,
}: {
  /** "the clip". */
  what: string;
  /** Without the slash: "clips/abc", a login. */
  path: string;
  title: string;
  /** Where the viewer is, s. */
  at?: number;
  open: boolean;
  onClose: () => void;
}) {
  return (
    <Dialog open={open} title={`Share ${what}`} onClose={onClose}>
      <Links path={path} title={title} at={Math.floor(at)} />
    </Dialog>
  );
}

function Links({ path, title, at }: { path: string; title: string; at: number }) {
  // Where the viewer was when it was opened; the video goes on meanwhile.
  const [place] = useState(at);
  const [fromHere, setFromHere] = useState(false);
  const start = fromHere ? `?t=${place}` : '';
  const name = title.replace(/[&"<>]/g, '');
  const frame = `<iframe src="${location.origin}/embed/${path}${start}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture" title="${name}"></iframe>`;
  return (
    <>
      {place > BEGINNING_S && (
        <Switch
          label={`Begin at ${formatClock(place)}`}
          checked={fromHere}
          onChange={setFromHere}
        />
      )}
      <CopyField label="Link" value={`${location.origin}/${path}${start}`} />
      <CopyField label="Put it into a page" value={frame} />
    </>
  );
}
