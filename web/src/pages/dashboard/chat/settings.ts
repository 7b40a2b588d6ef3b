import type { Moderation, ModerationSettings } from '../../../api/moderation';

/** What each card of the chat's settings is given. */
export interface SettingsProps {
  settings: ModerationSettings;
  moderation: Moderation;
  onChanged: (settings: ModerationSettings) => void;
}
