import { type ReactNode, useEffect, useId, useRef } from 'react';
import { cx } from '../lib/cx';
import { Button } from './button';
import css from './ui.module.css';

/** A modal: the browser's own dialog, so that focus, Escape and the inert page behind are its work. */
export function Dialog({
  open,
  title,
  children,
  actions,
  wide = false,
  onClose,
}: {
  open: boolean;
  title: string;
  children: ReactNode;
  actions?: ReactNode;
  /** For something to look at, not only to read. */
  wide?: boolean;
  onClose: () => void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (open && dialog && !dialog.open) dialog.showModal();
    if (!open && dialog?.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={ref}
      className={cx(css.dialog, wide && css.dialogWide)}
      aria-labelledby={heading}
      onClose={onClose}
      onCancel={onClose}
    >
      {open && (
        <>
          <div className={css.dialogHead}>
            <h2 id={heading}>{title}</h2>
            <Button look="bare" small icon="close" aria-label="Close" onClick={onClose} />
          </div>
          <div className={css.dialogBody}>{children}</div>
          {actions !== undefined && <div className={css.actions}>{actions}</div>}
        </>
      )}
    </dialog>
  );
}
