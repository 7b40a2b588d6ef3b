/** The instance's settings in words: what they are called, how they are put in, what is wrong with a value. Pure. */
import type { SettingValue, SettingValues } from '../../api/admin';
import { formatBytes } from '../../lib/bytes';
import { formatExact } from '../../lib/format';
import { fromLocal, toLocal } from '../../lib/local-time';

interface Common {
  name: string;
  label: string;
  hint?: string;
}

export type SettingField = Common &
  (
    | { kind: 'text' | 'lines'; max: number; required?: boolean }
    | { kind: 'switch' }
    | { kind: 'choice'; of: readonly (readonly [string, string])[] }
    | { kind: 'number'; min: number; max: number; unit?: string; whole?: boolean; zero?: string }
    | { kind: 'bytes'; min: number; max: number; zero?: string }
    | { kind: 'moment' }
    | { kind: 'ladder' }
  );

export interface SettingGroup {
  id: string;
  title: string;
  about: string;
  fields: readonly SettingField[];
}

const MOST_BYTES = 2 ** 50;
const GB = 1e9;
const NONE = 'No limit';

export const GROUPS: readonly SettingGroup[] = [
  {
    id: 'site',
    title: 'Site',
    about: 'What visitors read.',
    fields: [
      { kind: 'text', name: 'instance_name', label: 'Name of the site', max: 60, required: true },
      { kind: 'text', name: 'tagline', label: 'Tagline', max: 160, hint: 'One line.' },
      { kind: 'lines', name: 'about', label: 'About', max: 10_000, hint: 'Plain text, at /about.' },
      { kind: 'lines', name: 'rules', label: 'Rules', max: 10_000, hint: 'Plain text, at /about.' },
    ],
  },
  {
    id: 'banner',
    title: 'Banner',
    about: 'Shown on every page within a minute.',
    fields: [
      { kind: 'text', name: 'banner_text', label: 'Banner', max: 500, hint: 'Empty: no banner.' },
      {
        kind: 'choice',
        name: 'banner_level',
        label: 'How urgent it is',
        of: [
          ['info', 'For information'],
          ['warning', 'A warning'],
          ['danger', 'Urgent'],
        ],
      },
      {
        kind: 'moment',
        name: 'banner_until',
        label: 'Shown until',
        hint: 'Empty: until you remove it.',
      },
    ],
  },
  {
    id: 'accounts',
    title: 'Accounts',
    about: 'Who may come in.',
    fields: [
      { kind: 'switch', name: 'registration_open', label: 'Anybody may make an account' },
      {
        kind: 'choice',
        name: 'who_may_stream',
        label: 'Who may stream',
        hint: 'Approval is the role “creator”, on the People page. With nobody no stream can begin; those that run go on.',
        of: [
          ['everybody', 'Every new account'],
          ['approved', 'New accounts after approval'],
          ['nobody', 'Nobody'],
        ],
      },
      {
        kind: 'number',
        name: 'login_hold_days',
        label: 'Hold names of deleted accounts',
        min: 0,
        max: 36_500,
        unit: 'days',
        whole: true,
      },
    ],
  },
  {
    id: 'live',
    title: 'Live',
    about: 'Limits hold for streams that run, too; the ladder and recording for those that begin.',
    fields: [
      {
        kind: 'number',
        name: 'max_streams',
        label: 'Streams at once',
        min: 0,
        max: 100_000,
        whole: true,
        zero: NONE,
      },
      {
        kind: 'number',
        name: 'max_bitrate_kbps',
        label: 'Highest bitrate',
        min: 0,
        max: 1_000_000,
        unit: 'kbit/s',
        whole: true,
        zero: NONE,
      },
      {
        kind: 'number',
        name: 'max_resolution',
        label: 'Largest picture, shorter side',
        min: 0,
        max: 16_384,
        unit: 'lines',
        whole: true,
        zero: NONE,
      },
      {
        kind: 'ladder',
        name: 'ladder',
        label: 'Transcoded renditions',
        hint: '“auto”: as many as the machine has room for. “off”. Or heights: 720p,480p.',
      },
      {
        kind: 'number',
        name: 'grace_s',
        label: 'Wait for a streamer who was cut off',
        min: 0,
        max: 600,
        unit: 's',
      },
      { kind: 'switch', name: 'recording', label: 'Broadcasts become videos' },
    ],
  },
  {
    id: 'videos',
    title: 'Videos and uploads',
    about: 'How much there may be, and how long it stays.',
    fields: [
      {
        kind: 'number',
        name: 'video_retention_days',
        label: 'Keep broadcasts',
        min: 0,
        max: 36_500,
        unit: 'days',
        whole: true,
        zero: 'For good',
        hint: 'Where the channel sets no other number. Shortening it removes older ones soon.',
      },
      {
        kind: 'bytes',
        name: 'video_channel_quota_bytes',
        label: 'Videos of one channel',
        min: 0,
        max: MOST_BYTES,
        zero: NONE,
        hint: 'Past it its oldest broadcasts go.',
      },
      {
        kind: 'number',
        name: 'trash_days',
        label: 'Keep deleted videos',
        min: 0,
        max: 3650,
        unit: 'days',
      },
      {
        kind: 'bytes',
        name: 'upload_max_bytes',
        label: 'Largest upload',
        min: 1e6,
        max: MOST_BYTES,
      },
      {
        kind: 'number',
        name: 'upload_parallel',
        label: 'Uploads of one account at once',
        min: 1,
        max: 1000,
        whole: true,
      },
      {
        kind: 'bytes',
        name: 'upload_quota_bytes',
        label: 'Room for uploads of one channel',
        min: 0,
        max: MOST_BYTES,
        zero: NONE,
      },
      {
        kind: 'number',
        name: 'export_link_days',
        label: 'Keep exports',
        min: 0.01,
        max: 3650,
        unit: 'days',
      },
    ],
  },
  {
    id: 'chat',
    title: 'Chat',
    about: 'What is kept, and for how long.',
    fields: [
      {
        kind: 'number',
        name: 'chat_retention_days',
        label: 'Keep messages',
        min: 0,
        max: 36_500,
        unit: 'days',
        whole: true,
        zero: 'For good',
      },
      {
        kind: 'number',
        name: 'chat_join_history',
        label: 'Messages shown on entering a room',
        min: 0,
        max: 500,
        whole: true,
      },
      {
        kind: 'number',
        name: 'chat_held_s',
        label: 'A held message waits for a moderator',
        min: 1,
        max: 86_400,
        unit: 's',
      },
      {
        kind: 'number',
        name: 'chat_pin_s',
        label: 'A message stays pinned',
        min: 1,
        max: 604_800,
        unit: 's',
      },
    ],
  },
];

export const FIELDS: ReadonlyMap<string, SettingField> = new Map(
  GROUPS.flatMap(({ fields }) => fields.map((field) => [field.name, field] as const)),
);

/** What stands in the field of a value: a text, or for a switch the value itself. */
export function shown(field: SettingField, value: SettingValue): string | boolean {
  if (field.kind === 'switch') return value === true;
  if (field.kind === 'moment') return toLocal(typeof value === 'string' ? value : null);
  if (field.kind === 'bytes') return String(Number((Number(value) / GB).toFixed(3)));
  return value === null ? '' : String(value);
}

/** The value that a field's text means, or what is wrong with it. */
export function read(
  field: SettingField,
  input: string | boolean,
): { value: SettingValue } | { fault: string } {
  if (typeof input === 'boolean') return { value: input };
  const text = input.trim();
  switch (field.kind) {
    case 'text':
    case 'lines':
      if (field.required && text === '') return { fault: 'This cannot be empty.' };
      // Characters, as the server counts them.
      return Array.from(text).length > field.max
        ? { fault: `At most ${field.max} characters.` }
        : { value: text };
    case 'moment':
      return { value: fromLocal(text) };
    case 'ladder':
      return /^(auto|off|\d{3,4}p(,\d{3,4}p)*)$/.test(text.replaceAll(' ', ''))
        ? { value: text.replaceAll(' ', '') }
        : { fault: 'Write auto, off, or heights such as 720p,480p.' };
    case 'number':
      return number(text, field, 1, field.whole ?? false);
    case 'bytes':
      return number(text, field, GB, true);
    default:
      return { value: text };
  }
}

function number(
  text: string,
  { min, max }: { min: number; max: number },
  unit: number,
  whole: boolean,
): { value: number } | { fault: string } {
  const typed = Number(text.replace(',', '.'));
  if (text === '' || Number.isNaN(typed)) return { fault: 'This is not a number.' };
  if (whole && unit === 1 && !Number.isInteger(typed)) return { fault: 'Only whole numbers.' };
  const value = unit === 1 ? typed : Math.round(typed * unit);
  if (value < min || value > max) {
    return { fault: `From ${min / unit} to ${Math.floor(max / unit)}.` };
  }
  return { value };
}

/** A value in words, for what changed. */
export function words(name: string, value: SettingValue): string {
  const field = FIELDS.get(name);
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (value === null || value === '') return 'none';
  if (field?.kind === 'moment') return formatExact(new Date(String(value)));
  if (field?.kind === 'choice') {
    return field.of.find(([each]) => each === value)?.[1] ?? String(value);
  }
  if (value === 0 && field !== undefined && 'zero' in field && field.zero) {
    return field.zero.toLowerCase();
  }
  if (field?.kind === 'bytes') return formatBytes(Number(value));
  if (field?.kind === 'number') return `${value}${field.unit ? ` ${field.unit}` : ''}`;
  const text = String(value).replace(/\s+/g, ' ');
  return text.length > 60 ? `“${text.slice(0, 57)}…”` : `“${text}”`;
}

export type Draft = Record<string, string | boolean>;

/** What a draft comes to: the values that differ from those that hold, and what is wrong. */
export function weigh(
  draft: Draft,
  values: SettingValues,
): { changes: SettingValues; faults: Record<string, string> } {
  const changes: SettingValues = {};
  const faults: Record<string, string> = {};
  for (const [name, input] of Object.entries(draft)) {
    const field = FIELDS.get(name);
    if (field === undefined || shown(field, values[name] ?? null) === input) continue;
    const found = read(field, input);
    if ('fault' in found) faults[name] = found.fault;
    else if (found.value !== values[name]) changes[name] = found.value;
  }
  return { changes, faults };
}
