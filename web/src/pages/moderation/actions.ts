/** What the mod log's actions are in words. Pure. */
import { formatSpan } from '../../lib/format';

const WORDS: Record<string, string> = {
  ban: 'banned %',
  timeout: 'timed % out',
  unban: 'unbanned %',
  untimeout: 'ended the timeout of %',
  warn: 'warned %',
  acknowledge_warning: 'read the warning',
  delete: 'deleted a message of %',
  clear: 'cleared the chat',
  mod: 'made % a moderator',
  unmod: 'removed % from the moderators',
  vip: 'made % a VIP',
  unvip: 'removed % from the VIPs',
  allow_held: 'allowed a held message of %',
  deny_held: 'denied a held message of %',
  add_blocked_term: 'blocked a term',
  remove_blocked_term: 'unblocked a term',
  add_permitted_term: 'permitted a term',
  remove_permitted_term: 'no longer permits a term',
  unban_request: 'asks to come back',
  approve_unban_request: 'let % back in',
  deny_unban_request: 'denied the request of %',
  mark_monitored: 'keeps an eye on %',
  mark_restricted: 'has all messages of % held',
  unmark_suspicious: 'no longer keeps an eye on %',
  slow: 'switched slow mode on',
  slowoff: 'switched slow mode off',
  followers: 'switched followers-only on',
  followersoff: 'switched followers-only off',
  subscribers: 'switched subscribers-only on',
  subscribersoff: 'switched subscribers-only off',
  emoteonly: 'switched emotes-only on',
  emoteonlyoff: 'switched emotes-only off',
  uniquechat: 'switched unique chat on',
  uniquechatoff: 'switched unique chat off',
  shield: 'raised the shield',
  shieldoff: 'lowered the shield',
  delay: 'switched the chat delay on',
  delayoff: 'switched the chat delay off',
  announce: 'announced',
  poll_start: 'started a poll',
  poll_end: 'ended a poll',
  raid: 'started a raid',
  unraid: 'called the raid off',
  pin: 'pinned a message',
  unpin: 'unpinned the message',
};

const SETTINGS: Record<string, string> = {
  automod: 'AutoMod',
  links_from: 'who may send links',
  links_action: 'what happens to links',
  shield_settings: 'what the shield does',
  raid_guard: 'the flood guard',
  accept_raids: 'who may raid',
};

export function actionText(
  action: string,
  target: string | null,
  data: Record<string, unknown>,
): string {
  if (action === 'settings') {
    const named = Object.keys(data).flatMap((key) => SETTINGS[key] ?? []);
    return `changed ${named.join(', ') || 'the settings'}`;
  }
  const words = WORDS[action] ?? (target === null ? action : `${action}: %`);
  const told = words.replaceAll('_', ' ').replace('%', target ?? 'somebody');
  const seconds = data['duration_s'];
  const text = data['text'] ?? data['question'];
  return [
    told,
    typeof seconds === 'number' ? ` for ${formatSpan(seconds)}` : '',
    typeof text === 'string' && text !== '' ? `: “${text}”` : '',
  ].join('');
}
