import { type InputHTMLAttributes, useState } from 'react';
import { Button } from './button';
import { Field } from './field';

/** A password input that can show what is typed: fewer slips, and no second field to repeat it in. */
export function PasswordField({
  onChange,
  ...rest
}: {
  label: string;
  hint?: string;
  fault?: string | null;
  value: string;
  onChange: (value: string) => void;
} & Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange' | 'value' | 'type'>) {
  const [shown, setShown] = useState(false);
  return (
    <Field
      {...rest}
      type={shown ? 'text' : 'password'}
      autoCapitalize="none"
      spellCheck={false}
      onChange={(event) => onChange(event.target.value)}
      affix={
        <Button
          look="bare"
          small
          icon={shown ? 'eyeOff' : 'eye'}
          aria-label={shown ? 'Hide password' : 'Show password'}
          aria-pressed={shown}
          onClick={() => setShown(!shown)}
        />
      }
    />
  );
}
