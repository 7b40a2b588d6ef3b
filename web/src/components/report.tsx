import { type SubmitEvent, useState } from 'react';
import { type NewReport, report, type ReportReason } from '../api/moderation';
import { Button } from './button';
import { Dialog } from './dialog';
import { Select, TextArea } from './field';
import { toast } from './toasts';
import { FormFault } from './ui';
import css from './ui.module.css';
import { useSending } from './use-sending';

type About = Omit<NewReport, 'reason' | 'text'>;

export const REASONS: Record<ReportReason, string> = {
  spam: 'Spam or scam',
  harassment: 'Harassment or bullying',
  hate: 'Hate against a group of people',
  sexual: 'Sexual content',
  violence: 'Violence or threats',
  self_harm: 'Somebody may harm themselves',
  impersonation: 'Pretends to be somebody else',
  copyright: 'Takes somebody else’s work',
  other: 'Something else',
};

/** Tell the people who run the site about a person, a message, a stream or a video. */
export function ReportDialog({
  about,
  what,
  onClose,
}: {
  /** Null while it is closed. */
  about: About | null;
  /** "Bea", "this message of Bea". */
  what: string;
  onClose: () => void;
}) {
  return (
    <Dialog open={about !== null} title={`Report ${what}`} onClose={onClose}>
      {about && <ReportForm about={about} onClose={onClose} />}
    </Dialog>
  );
}

function ReportForm({ about, onClose }: { about: About; onClose: () => void }) {
  const [reason, setReason] = useState<ReportReason | ''>('');
  const [text, setText] = useState('');
  const { busy, fault, send, refuse } = useSending();

  function submit(event: SubmitEvent) {
    event.preventDefault();
    if (reason === '') {
      refuse('Choose what it is about.');
      return;
    }
    void send(async () => {
      await report({ ...about, reason, text: text.trim() || undefined });
      toast('Thank you. Somebody will look at it.');
      onClose();
    });
  }

  return (
    <form className={css.stack} onSubmit={submit}>
      <p>It goes to the moderators of this site, not to the person.</p>
      <FormFault text={fault} />
      <Select
        label="What is it about?"
        required
        value={reason}
        onChange={(event) => setReason(event.target.value as ReportReason)}
      >
        <option value="" disabled>
          Choose…
        </option>
        {Object.entries(REASONS).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </Select>
      <TextArea
        label="What should we know? (optional)"
        maxLength={1000}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <div className={css.actions}>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={busy}>
          Send report
        </Button>
      </div>
    </form>
  );
}
