/** What somebody chose for their chats, kept in this browser. */
export interface ChatPrefs {
  times: boolean;
  large: boolean;
  hidden: boolean;
}

const KEY = 'footlight.chat';
const DEFAULT: ChatPrefs = { times: false, large: false, hidden: false };

export function readChatPrefs(): ChatPrefs {
  try {
    return { ...DEFAULT, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<ChatPrefs>) };
  } catch {
    return DEFAULT;
  }
}

export function writeChatPrefs(prefs: ChatPrefs) {
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // Storage may be forbidden: it holds for this page then.
  }
}
