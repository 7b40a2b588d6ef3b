import { LANGUAGES } from '../lib/languages';
import { InlineSelect, Select } from './field';

const CHOICES = LANGUAGES.map(({ code, name }) => (
  <option key={code} value={code}>
    {name}
  </option>
));

interface Choosing {
  /** A code; empty: none. */
  value: string;
  onChange: (code: string) => void;
}

/** What language something is in. */
export function LanguageSelect({ value, onChange, fault }: Choosing & { fault: string | null }) {
  return (
    <Select
      label="Language"
      value={value}
      onChange={(event) => onChange(event.target.value)}
      fault={fault}
    >
      <option value="">Not said</option>
      {CHOICES}
    </Select>
  );
}

/** Of which language a list is to be. */
export function LanguageFilter({ value, onChange }: Choosing) {
  return (
    <InlineSelect label="Language" value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">Every language</option>
      {CHOICES}
    </InlineSelect>
  );
}
