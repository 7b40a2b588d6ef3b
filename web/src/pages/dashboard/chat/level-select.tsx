import { InlineSelect } from '../../../components/field';

const LEVELS = ['Off', 'A little', 'Some', 'More', 'Most'];

export function LevelSelect({
  label,
  value,
  onChange,
}: {
  label: string;
  value: number;
  onChange: (level: number) => void;
}) {
  return (
    <InlineSelect
      label={label}
      value={value}
      onChange={(event) => onChange(Number(event.target.value))}
    >
      {LEVELS.map((name, level) => (
        <option key={level} value={level}>
          {level} · {name}
        </option>
      ))}
    </InlineSelect>
  );
}
