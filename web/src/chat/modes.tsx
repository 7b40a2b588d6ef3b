import type { Moderation, ModerationSettings } from '../api/moderation';
import { Select, Switch } from '../components/field';
import css from './modes.module.css';
import type { ChatSettings } from './protocol';
import { spanOfMinutes } from './room';
import { useSettings } from './use-settings';

const SLOW = [0, 3, 5, 10, 30, 60, 120];
const FOLLOWERS = [0, 10, 60, 1440, 10_080, 43_200];
const DELAYS = [0, 2, 4, 6];

/** What stands there may be a value that no choice names: one typed as a command. */
export function withCurrent(choices: readonly number[], current: number | null): number[] {
  return current === null || choices.includes(current)
    ? [...choices]
    : [...choices, current].sort((a, b) => a - b);
}

/** The room's modes; every change holds at once. */
export function ModeControls({
  settings,
  moderation,
  onChanged,
  small = false,
}: {
  settings: ChatSettings;
  moderation: Moderation;
  onChanged?: (settings: ModerationSettings) => void;
  small?: boolean;
}) {
  const { busy, set } = useSettings<Partial<ModerationSettings>>(settings, moderation, onChanged);
  const switches = [
    ['emote_only', 'Emotes only', 'Nothing but emotes.'],
    ['unique_chat', 'Unique chat', 'Nothing that was just said.'],
    ['subscribers_only', 'Subscribers only', 'And VIPs and moderators.'],
  ] as const;
  return (
    <div className={css.modes} data-small={small || undefined}>
      <Select
        label="Slow mode"
        value={settings.slow_s}
        onChange={(event) => set('slow_s', { slow_s: Number(event.target.value) })}
      >
        {withCurrent(SLOW, settings.slow_s).map((seconds) => (
          <option key={seconds} value={seconds}>
            {seconds === 0 ? 'Off' : `One message in ${seconds} s`}
          </option>
        ))}
      </Select>
      <Select
        label="Followers only"
        value={settings.followers_min ?? 'off'}
        onChange={(event) =>
          set('followers_min', {
            followers_min: event.target.value === 'off' ? null : Number(event.target.value),
          })
        }
      >
        <option value="off">Off</option>
        {withCurrent(FOLLOWERS, settings.followers_min).map((minutes) => (
          <option key={minutes} value={minutes}>
            {minutes === 0 ? 'Every follower' : `Following for ${spanOfMinutes(minutes)}`}
          </option>
        ))}
      </Select>
      {switches.map(([key, label, hint]) => (
        <Switch
          key={key}
          label={label}
          hint={small ? undefined : hint}
          checked={settings[key]}
          busy={busy(key)}
          onChange={(on) => set(key, { [key]: on })}
        />
      ))}
      <Select
        label="Chat delay"
        hint={small ? undefined : 'Moderators see everything first.'}
        value={settings.delay_s}
        onChange={(event) => set('delay_s', { delay_s: Number(event.target.value) })}
      >
        {DELAYS.map((seconds) => (
          <option key={seconds} value={seconds}>
            {seconds === 0 ? 'None' : `${seconds} s`}
          </option>
        ))}
      </Select>
    </div>
  );
}
