import type { ModerationSettings } from '../../../api/moderation';
import { attempt } from '../../../chat/cards';
import { withCurrent } from '../../../chat/modes';
import { spanOfMinutes } from '../../../chat/room';
import { useSettings } from '../../../chat/use-settings';
import { Select, Switch } from '../../../components/field';
import { Card, Pill } from '../../../components/ui';
import css from '../dashboard.module.css';
import { LevelSelect } from './level-select';
import type { SettingsProps } from './settings';

/** What the shield switches on; the stricter of this and the modes holds. */
export function ShieldCard(props: SettingsProps) {
  const { settings, moderation } = props;
  const { set } = useSettings(props.settings, props.moderation, props.onChanged);
  const { shield_settings: shield } = settings;
  const change = (changes: Partial<ModerationSettings['shield_settings']>) =>
    set('shield_settings', (now) => ({
      shield_settings: { ...now.shield_settings, ...changes },
    }));
  return (
    <Card
      title="Shield"
      about="Strict modes at one stroke, for when your chat is flooded."
      aside={settings.shield ? <Pill tone="warn">Up</Pill> : undefined}
    >
      <div className={css.form}>
        <Switch
          label="Shield mode"
          hint="Goes up now, and down when you say so."
          checked={settings.shield}
          onChange={(active) =>
            void attempt(
              moderation
                .setShield(active)
                .then(() => props.onChanged({ ...settings, shield: active })),
            )
          }
        />
        <Select
          label="It makes chat slow"
          value={shield.slow_s ?? 0}
          onChange={(event) => change({ slow_s: Number(event.target.value) })}
        >
          {withCurrent([0, 5, 10, 30, 60, 120], shield.slow_s ?? null).map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds === 0 ? 'No' : `One message in ${seconds} s`}
            </option>
          ))}
        </Select>
        <Select
          label="It lets only followers write"
          value={shield.followers_min ?? 'off'}
          onChange={(event) =>
            change({
              followers_min: event.target.value === 'off' ? null : Number(event.target.value),
            })
          }
        >
          <option value="off">No</option>
          {withCurrent([0, 10, 60, 1440], shield.followers_min ?? null).map((minutes) => (
            <option key={minutes} value={minutes}>
              {minutes === 0 ? 'Every follower' : `Following for ${spanOfMinutes(minutes)}`}
            </option>
          ))}
        </Select>
        {(
          [
            ['emote_only', 'It lets only emotes through'],
            ['unique_chat', 'It refuses what was just said'],
          ] as const
        ).map(([key, label]) => (
          <Switch
            key={key}
            label={label}
            checked={shield[key] ?? false}
            onChange={(on) => change({ [key]: on })}
          />
        ))}
        <div className={css.level}>
          <span>AutoMod while it is up</span>
          <LevelSelect
            label="AutoMod while the shield is up"
            value={shield.automod ?? 0}
            onChange={(automod) => change({ automod })}
          />
        </div>
      </div>
    </Card>
  );
}

const FLOODS = [20, 50, 100, 300];
const WINDOWS = [10, 30, 60, 300];

/** When people come too fast: moderators are told, or the shield goes up. */
export function GuardCard(props: SettingsProps) {
  const { raid_guard: guard } = props.settings;
  const { set } = useSettings(props.settings, props.moderation, props.onChanged);
  const change = (changes: Partial<ModerationSettings['raid_guard']>) =>
    set('raid_guard', ({ raid_guard: now }) => ({
      raid_guard: { ...now, window_s: now.window_s ?? 30, ...changes },
    }));
  const kinds = [
    ['joins', 'A flood of people is', 'people come'],
    ['follows', 'A flood of followers is', 'new followers'],
  ] as const;
  return (
    <Card title="Flood guard" about="Tells moderators when more come at once than is natural.">
      <div className={css.form}>
        {kinds.map(([key, label, unit]) => (
          <Select
            key={key}
            label={label}
            value={guard[key] ?? 0}
            onChange={(event) => change({ [key]: Number(event.target.value) || null })}
          >
            <option value={0}>not watched for</option>
            {withCurrent(FLOODS, guard[key] ?? null).map((count) => (
              <option key={count} value={count}>
                {count} {unit}
              </option>
            ))}
          </Select>
        ))}
        <Select
          label="within"
          value={guard.window_s ?? 30}
          onChange={(event) => change({ window_s: Number(event.target.value) })}
        >
          {withCurrent(WINDOWS, guard.window_s ?? null).map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds} s
            </option>
          ))}
        </Select>
        <Switch
          label="The shield goes up by itself"
          hint="Else moderators are told, and decide."
          checked={guard.shield ?? false}
          onChange={(shield) => change({ shield })}
        />
      </div>
    </Card>
  );
}
