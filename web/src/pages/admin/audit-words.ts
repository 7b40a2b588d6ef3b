/** What the lines of the audit log say in words. Pure. */
import { formatExact } from '../../lib/format';
import { actionText } from '../moderation/actions';

/** `%` is whom or what it was done to. */
const WORDS: Record<string, string> = {
  'account.registered': 'made an account',
  'account.created': 'made the account of %',
  'account.deleted': 'deleted the account of %',
  'account.role_changed': 'changed the role of %',
  'account.suspended': 'suspended the account of %',
  'account.suspension_lifted': 'lifted the suspension of the account of %',
  'appeal.decided': 'answered an appeal of %',
  'app_token.created': 'made a token for a program',
  'app_token.revoked': 'took back a token for a program',
  'channel.edited': 'changed the channel of %',
  'channel.suspended': 'suspended the channel of %',
  'channel.suspension_lifted': 'lifted the suspension of the channel of %',
  'channel.video_settings_edited': 'changed what becomes of the broadcasts of %',
  'clip.deleted': 'deleted a clip of %',
  'email.changed': 'changed their e-mail address',
  'emote.added': 'added an emote to the channel of %',
  'emote.removed': 'removed an emote from the channel of %',
  'login.reuse_detected': 'shut out a stolen login of %',
  'password.changed': 'changed their password',
  'password.reset': 'set a new password for %',
  'password.reset_asked': 'sent a link for a new password to %',
  'report.decided': 'decided a report about %',
  'settings.changed': 'changed the settings of this site',
  'settings.undone': 'took a change of the settings back',
  'signing_key.rotated': 'replaced the key that logins are signed with',
  'stream.stopped': 'stopped the stream of %',
  'stream_key.created': 'made a stream key',
  'stream_key.revoked': 'deleted a stream key',
  'video.deleted': 'deleted a video of %',
  'video.edited': 'changed a video of %',
  'video.removed': 'removed a video of %',
  'video.retried': 'had an upload of % processed again',
};

/** Names of what was noted with it; what is missing here is said as it is called. */
const NAMES: Record<string, string> = {
  after: 'now',
  before: 'before',
  fields: 'changed',
  scopes: 'may',
  until: 'until',
};
/** Said already by the sentence. */
const SAID = new Set(['duration_s', 'text', 'question', 'reason', 'title']);
/** Of these one can look up what it is. */
const IDS = new Set(['video_id', 'clip_id']);

export interface Told {
  /** Follows the name of who did it. */
  sentence: string;
  /** Their own words: a reason, a title. */
  quotes: string[];
  /** "role: moderator": what else was noted. */
  notes: string[];
}

/** What a line says. `target` is a name, or null where it says nothing to people. */
export function told(action: string, target: string | null, data: Record<string, unknown>): Told {
  const name = target ?? 'somebody';
  const sentence = action.startsWith('chat.')
    ? actionText(action.slice('chat.'.length), target, data)
    : (WORDS[action] ?? action.replace(/[._]/g, ' ')).replace('%', name);
  const quotes = [data['title'], data['reason']].filter(
    (text): text is string => typeof text === 'string' && text !== '',
  );
  const notes = Object.entries(data).flatMap(([key, value]) => {
    const useless = SAID.has(key) || (key.endsWith('_id') && !IDS.has(key));
    const words = valueText(value);
    return useless || words === '' ? [] : [`${NAMES[key] ?? key.replaceAll('_', ' ')}: ${words}`];
  });
  return { sentence, quotes, notes };
}

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

function valueText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') {
    return MOMENT.test(value) ? formatExact(new Date(value)) : value.replaceAll('_', ' ');
  }
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.map(valueText).filter(Boolean).join(', ');
  return Object.entries(value)
    .map(([key, each]) => `${key.replaceAll('_', ' ')} ${valueText(each)}`)
    .join(', ');
}
