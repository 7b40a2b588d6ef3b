/** What can be typed after a slash; the server decides (chat/commands.py), this is for completion and help. */
export interface Command {
  name: string;
  usage: string;
  about: string;
  /** 0 everybody, 1 moderators, 2 the broadcaster. */
  rank: 0 | 1 | 2;
}

export const COMMANDS: readonly Command[] = [
  { name: 'me', usage: 'text', about: 'Say what you do', rank: 0 },
  { name: 'color', usage: '#rrggbb', about: 'Change the colour of your name', rank: 0 },
  { name: 'mods', usage: '', about: 'Who moderates here', rank: 0 },
  { name: 'vips', usage: '', about: 'Who is a VIP here', rank: 0 },
  { name: 'timeout', usage: 'name [seconds] [reason]', about: 'Silence for a time', rank: 1 },
  { name: 'untimeout', usage: 'name', about: 'End a timeout', rank: 1 },
  { name: 'ban', usage: 'name [reason]', about: 'Silence for good', rank: 1 },
  { name: 'unban', usage: 'name', about: 'End a ban', rank: 1 },
  { name: 'warn', usage: 'name reason', about: 'Must be read before chatting on', rank: 1 },
  { name: 'delete', usage: 'message-id', about: 'Delete one message', rank: 1 },
  { name: 'clear', usage: '', about: 'Clear the chat for everybody', rank: 1 },
  { name: 'slow', usage: '[seconds]', about: 'Slow mode', rank: 1 },
  { name: 'slowoff', usage: '', about: 'Slow mode off', rank: 1 },
  { name: 'followers', usage: '[minutes]', about: 'Followers-only mode', rank: 1 },
  { name: 'followersoff', usage: '', about: 'Followers-only mode off', rank: 1 },
  { name: 'subscribers', usage: '', about: 'Subscribers-only mode', rank: 1 },
  { name: 'subscribersoff', usage: '', about: 'Subscribers-only mode off', rank: 1 },
  { name: 'emoteonly', usage: '', about: 'Emote-only mode', rank: 1 },
  { name: 'emoteonlyoff', usage: '', about: 'Emote-only mode off', rank: 1 },
  { name: 'uniquechat', usage: '', about: 'No message twice', rank: 1 },
  { name: 'uniquechatoff', usage: '', about: 'Unique chat off', rank: 1 },
  { name: 'announce', usage: 'text', about: 'Say something that stands out', rank: 1 },
  { name: 'mod', usage: 'name', about: 'Make a moderator', rank: 2 },
  { name: 'unmod', usage: 'name', about: 'No longer a moderator', rank: 2 },
  { name: 'vip', usage: 'name', about: 'Make a VIP', rank: 2 },
  { name: 'unvip', usage: 'name', about: 'No longer a VIP', rank: 2 },
  { name: 'raid', usage: 'channel', about: 'Take your viewers to another channel', rank: 2 },
  { name: 'unraid', usage: '', about: 'Call the raid off', rank: 2 },
];
