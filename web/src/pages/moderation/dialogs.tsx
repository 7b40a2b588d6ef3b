import { type SubmitEvent, useState } from 'react';
import type { Moderation } from '../../api/moderation';
import { attempt } from '../../chat/cards';
import { Button } from '../../components/button';
import { Dialog } from '../../components/dialog';
import { Field, Select, TextArea } from '../../components/field';
import { Icon } from '../../components/icon';
import css from './moderation.module.css';

interface AskProps {
  open: boolean;
  moderation: Moderation;
  onClose: () => void;
}

export function PollDialog({ open, moderation, onClose }: AskProps) {
  const [question, setQuestion] = useState('');
  const [choices, setChoices] = useState(['', '']);
  const [seconds, setSeconds] = useState(120);
  const [busy, setBusy] = useState(false);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const given = choices.map((choice) => choice.trim()).filter(Boolean);
    setBusy(true);
    const work = moderation.startPoll({
      question: question.trim(),
      choices: given,
      duration_s: seconds,
    });
    if (await attempt(work, 'The poll runs.')) {
      setQuestion('');
      setChoices(['', '']);
      onClose();
    }
    setBusy(false);
  }

  return (
    <Dialog open={open} title="Ask the chat" onClose={onClose}>
      <form className={css.form} onSubmit={(event) => void submit(event)}>
        <Field
          label="Question"
          required
          maxLength={60}
          value={question}
          onChange={(event) => setQuestion(event.target.value)}
        />
        {choices.map((choice, index) => (
          <Field
            key={index}
            label={`Choice ${index + 1}`}
            required={index < 2}
            maxLength={25}
            value={choice}
            onChange={(event) =>
              setChoices(choices.map((old, at) => (at === index ? event.target.value : old)))
            }
          />
        ))}
        {choices.length < 5 && (
          <Button small look="bare" icon="plus" onClick={() => setChoices([...choices, ''])}>
            Another choice
          </Button>
        )}
        <Select
          label="It runs for"
          value={seconds}
          onChange={(event) => setSeconds(Number(event.target.value))}
        >
          <option value={60}>1 minute</option>
          <option value={120}>2 minutes</option>
          <option value={300}>5 minutes</option>
          <option value={1800}>30 minutes</option>
        </Select>
        <Button type="submit" look="primary" busy={busy}>
          Start the poll
        </Button>
      </form>
    </Dialog>
  );
}

export function AnnounceDialog({ open, moderation, onClose }: AskProps) {
  const [text, setText] = useState('');
  const [color, setColor] = useState('primary');
  async function submit(event: SubmitEvent) {
    event.preventDefault();
    if (await attempt(moderation.announce(text.trim(), color))) {
      setText('');
      onClose();
    }
  }
  return (
    <Dialog open={open} title="Announce something" onClose={onClose}>
      <form className={css.form} onSubmit={(event) => void submit(event)}>
        <TextArea
          label="Text"
          required
          maxLength={500}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Select label="Colour" value={color} onChange={(event) => setColor(event.target.value)}>
          <option value="primary">Footlight</option>
          <option value="blue">Blue</option>
          <option value="green">Green</option>
          <option value="orange">Orange</option>
          <option value="purple">Purple</option>
        </Select>
        <Button type="submit" look="primary">
          Announce
        </Button>
      </form>
    </Dialog>
  );
}

export function RaidDialog({ open, moderation, onClose }: AskProps) {
  const [to, setTo] = useState('');
  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const login = to.trim().replace(/^@/, '').toLowerCase();
    if (await attempt(moderation.startRaid(login))) {
      setTo('');
      onClose();
    }
  }
  return (
    <Dialog open={open} title="Raid a channel" onClose={onClose}>
      <form className={css.form} onSubmit={(event) => void submit(event)}>
        <p>Your viewers come along after a countdown. Each may stay, and you may call it off.</p>
        <Field
          label="Channel"
          required
          maxLength={26}
          autoComplete="off"
          value={to}
          onChange={(event) => setTo(event.target.value)}
        />
        <Button type="submit" look="primary" icon="raid">
          Start the raid
        </Button>
      </form>
    </Dialog>
  );
}

const KEYS: readonly (readonly [string, string])[] = [
  ['H', 'To the held messages'],
  ['A · D', 'there: allow, deny'],
  ['C', 'To the chat'],
  ['↑ ↓', 'there: walk through the messages'],
  ['Enter', 'there: who is that'],
  ['R · D · T · B · P', 'there: reply, delete, time out, ban, pin'],
  ['W', 'Write'],
  ['L · N · U · M', 'Log, banned, unban requests, modes'],
];

export function KeysDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} title="Keyboard" onClose={onClose}>
      <dl className={css.keys}>
        {KEYS.map(([key, about]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{about}</dd>
          </div>
        ))}
      </dl>
      <p className={css.why}>
        <Icon name="info" size={14} /> Commands such as /timeout work in the chat as well.
      </p>
    </Dialog>
  );
}
