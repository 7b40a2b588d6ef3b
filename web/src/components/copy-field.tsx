import { useEffect, useId, useRef, useState } from 'react';
import { copyText } from '../lib/clipboard';
import { cx } from '../lib/cx';
import { Button } from './button';
import css from './ui.module.css';

/** How long "Copied" stands on the button, ms. */
const SHOWN_MS = 2500;

/** A value to carry elsewhere: selectable, copyable by one button, secret values masked until asked. */
export function CopyField({
  label,
  value,
  secret = false,
  hint,
}: {
  label: string;
  value: string;
  secret?: boolean;
  hint?: string;
}) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [shown, setShown] = useState(!secret);
  const [copied, setCopied] = useState<'no' | 'yes' | 'failed'>('no');

  useEffect(() => {
    if (copied === 'no') return;
    const timer = setTimeout(() => setCopied('no'), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);

  async function copy() {
    const done = await copyText(value);
    if (!done) {
      // Leave the text selected, so that the person's own Ctrl+C finishes the job.
      setShown(true);
      input.current?.select();
    }
    setCopied(done ? 'yes' : 'failed');
  }

  return (
    <div className={css.field}>
      <label className={css.label} htmlFor={id}>
        {label}
      </label>
      <div className={css.copy}>
        <input
          ref={input}
          id={id}
          className={css.input}
          readOnly
          // Not type=password: browsers would offer to save it as one.
          value={shown ? value : '•'.repeat(24)}
          data-value={shown ? undefined : 'masked'}
          onFocus={(event) => event.currentTarget.select()}
          spellCheck={false}
          autoComplete="off"
        />
        {secret && (
          <Button
            look="quiet"
            icon={shown ? 'eyeOff' : 'eye'}
            aria-label={shown ? `Hide ${label.toLowerCase()}` : `Show ${label.toLowerCase()}`}
            onClick={() => setShown(!shown)}
          />
        )}
        <Button
          look="quiet"
          icon={copied === 'yes' ? 'check' : 'copy'}
          className={cx(copied === 'yes' && css.copied)}
          aria-label={`Copy ${label.toLowerCase()}`}
          onClick={() => void copy()}
        >
          {copied === 'yes' ? 'Copied' : 'Copy'}
        </Button>
      </div>
      <p className={css.hint} aria-live="polite">
        {copied === 'yes'
          ? 'Copied to the clipboard.'
          : copied === 'failed'
            ? 'This browser does not let pages copy. The text is selected: press Ctrl+C.'
            : hint}
      </p>
    </div>
  );
}
