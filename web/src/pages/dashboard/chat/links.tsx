import type { ModerationSettings } from '../../../api/moderation';
import { useSettings } from '../../../chat/use-settings';
import { Select } from '../../../components/field';
import { Card } from '../../../components/ui';
import css from '../dashboard.module.css';
import type { SettingsProps } from './settings';

export function LinksCard(props: SettingsProps) {
  const { settings } = props;
  const { set } = useSettings(props.settings, props.moderation, props.onChanged);
  return (
    <Card title="Links and raids">
      <div className={css.form}>
        <Select
          label="Links are welcome from"
          value={settings.links_from}
          onChange={(event) =>
            set('links_from', {
              links_from: event.target.value as ModerationSettings['links_from'],
            })
          }
        >
          <option value="everyone">Everybody</option>
          <option value="followers">Followers</option>
          <option value="vips">VIPs and moderators</option>
          <option value="moderators">Moderators</option>
        </Select>
        <Select
          label="Anybody else’s links"
          value={settings.links_action}
          onChange={(event) =>
            set('links_action', {
              links_action: event.target.value as ModerationSettings['links_action'],
            })
          }
        >
          <option value="hold">are held for a moderator</option>
          <option value="refuse">are refused</option>
        </Select>
        <Select
          label="Who may raid you"
          value={settings.accept_raids}
          onChange={(event) =>
            set('accept_raids', {
              accept_raids: event.target.value as ModerationSettings['accept_raids'],
            })
          }
        >
          <option value="all">Every channel</option>
          <option value="followed">Channels that you follow</option>
          <option value="none">Nobody</option>
        </Select>
      </div>
    </Card>
  );
}
