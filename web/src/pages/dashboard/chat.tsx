import { useMemo, useRef, useState, type SubmitEvent } from 'react';
import { ApiError, explain } from '../../api/client';
import {
  addEmote,
  channelEmotes,
  moderationOf,
  removeEmote,
  type Moderation,
  type ModerationSettings,
  type RoleName,
  type Term,
} from '../../api/moderation';
import { useSession } from '../../api/session';
import { usePages } from '../../api/use-pages';
import { useResource, type Resource } from '../../api/use-resource';
import { attempt } from '../../chat/cards';
import { EmoteImage } from '../../chat/message-row';
import { ModeControls, withCurrent } from '../../chat/modes';
import { spanOfMinutes } from '../../chat/room';
import { forgetEmotes } from '../../chat/use-emotes';
import { useSettings } from '../../chat/use-settings';
import { More } from '../../components/more';
import { toast } from '../../components/toasts';
import {
  Button,
  ButtonLink,
  Card,
  Field,
  InlineSelect,
  Notice,
  Pill,
  Select,
  Skeleton,
  Switch,
  Tabs,
} from '../../components/ui';
import { useTitle } from '../../lib/title';
import css from './dashboard.module.css';
import { DashboardNav } from './nav';

/** How one's chat is run: modes, AutoMod, terms, people, emotes, raids. */
export default function DashboardChatPage() {
  useTitle('Chat settings');
  const { user } = useSession();
  return user === null ? null : <ChatDashboard login={user.login} />;
}

function ChatDashboard({ login }: { login: string }) {
  const moderation = useMemo(() => moderationOf(login), [login]);
  const settings = useResource(`moderation/${login}`, (signal) => moderation.settings(signal));
  return (
    <div className={css.page}>
      <div className={css.head}>
        <div>
          <h1>Chat</h1>
          <p className={css.nothing}>Every change holds at once, for everybody in the room.</p>
        </div>
        <ButtonLink href={`/moderation/${login}`} look="quiet" small icon="shield">
          Moderate now
        </ButtonLink>
      </div>
      <DashboardNav />
      <div className={css.columns}>
        <div className={css.column}>
          <Loaded of={settings}>
            {(found) => (
              <>
                <Card title="Modes" about="Who may write, and how often.">
                  <ModeControls settings={found} moderation={moderation} onChanged={settings.put} />
                </Card>
                <AutoModCard settings={found} moderation={moderation} onChanged={settings.put} />
                <LinksCard settings={found} moderation={moderation} onChanged={settings.put} />
                <ShieldCard settings={found} moderation={moderation} onChanged={settings.put} />
                <GuardCard settings={found} moderation={moderation} onChanged={settings.put} />
              </>
            )}
          </Loaded>
          <Terms moderation={moderation} />
        </div>
        <div className={css.column}>
          <People
            list="moderators"
            title="Moderators"
            about="They keep your chat civil: delete, time out, ban, change modes."
            moderation={moderation}
          />
          <People
            list="vips"
            title="VIPs"
            about="They do not wait for slow mode, and followers-only does not hold them."
            moderation={moderation}
          />
          <Emotes login={login} />
        </div>
      </div>
    </div>
  );
}

export function Loaded<T>({
  of,
  children,
}: {
  of: Omit<Resource<T>, 'put'>;
  children: (data: T) => React.ReactNode;
}) {
  if (of.data !== undefined) return children(of.data);
  if (of.error === undefined) return <Skeleton className={css.ghostForm} />;
  return (
    <Notice
      tone="danger"
      action={
        <Button small look="quiet" onClick={of.reload}>
          Try again
        </Button>
      }
    >
      {explain(of.error)}
    </Notice>
  );
}

interface SettingsProps {
  settings: ModerationSettings;
  moderation: Moderation;
  onChanged: (settings: ModerationSettings) => void;
}

function useSetting({ settings, moderation, onChanged }: SettingsProps) {
  return useSettings(settings, moderation, onChanged);
}

const LEVELS = ['Off', 'A little', 'Some', 'More', 'Most'];
const CATEGORIES: readonly (readonly [string, string])[] = [
  ['aggression', 'Aggression'],
  ['bullying', 'Bullying'],
  ['disability', 'Disability'],
  ['misogyny', 'Misogyny'],
  ['race_ethnicity_or_religion', 'Race, ethnicity or religion'],
  ['sexuality_sex_or_gender', 'Sexuality, sex or gender'],
  ['sex_based_terms', 'Sex-based terms'],
  ['swearing', 'Swearing'],
];

function LevelSelect({
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

function AutoModCard(props: SettingsProps) {
  const { automod } = props.settings;
  const { set } = useSetting(props);
  const { categories } = automod;
  const apart = categories != null && Object.keys(categories).length > 0;
  return (
    <Card
      title="AutoMod"
      about="Holds what may hurt before anybody sees it, until a moderator allows or denies it."
    >
      <div className={css.levels}>
        <Tabs
          label="How AutoMod is set"
          tabs={[
            { value: 'overall', label: 'One level' },
            { value: 'categories', label: 'By category' },
          ]}
          value={apart ? 'categories' : 'overall'}
          onChange={(how) =>
            set('automod', {
              automod:
                how === 'overall'
                  ? { overall: 1 }
                  : {
                      categories: Object.fromEntries(
                        CATEGORIES.map(([key]) => [key, automod.overall ?? 1]),
                      ),
                    },
            })
          }
        />
        {apart ? (
          CATEGORIES.map(([key, name]) => (
            <div key={key} className={css.level}>
              <span>{name}</span>
              <LevelSelect
                label={name}
                value={categories[key] ?? 0}
                onChange={(level) =>
                  set('automod', (now) => ({
                    automod: { categories: { ...now.automod.categories, [key]: level } },
                  }))
                }
              />
            </div>
          ))
        ) : (
          <div className={css.level}>
            <span>How much is held</span>
            <LevelSelect
              label="How much is held"
              value={automod.overall ?? 0}
              onChange={(overall) => set('automod', { automod: { overall } })}
            />
          </div>
        )}
      </div>
    </Card>
  );
}

function LinksCard(props: SettingsProps) {
  const { settings } = props;
  const { set } = useSetting(props);
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

/** What the shield switches on; the stricter of this and the modes holds. */
function ShieldCard(props: SettingsProps) {
  const { settings, moderation } = props;
  const { set } = useSetting(props);
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
function GuardCard(props: SettingsProps) {
  const { raid_guard: guard } = props.settings;
  const { set } = useSetting(props);
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

function Terms({ moderation }: { moderation: Moderation }) {
  const [kind, setKind] = useState<Term['kind']>('blocked');
  const terms = usePages(`terms/${kind}`, (cursor, signal) =>
    moderation.terms(kind, cursor, signal),
  );
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const [fault, setFault] = useState<string | null>(null);

  async function add(event: SubmitEvent) {
    event.preventDefault();
    setFault(null);
    try {
      await moderation.addTerm({ text: text.trim(), kind, public: open });
      setText('');
      terms.reload();
    } catch (error) {
      setFault(explain(error));
    }
  }

  return (
    <Card
      title="Terms"
      about="Words and phrases; a * at the start or end of a word stands for more letters."
    >
      <div className={css.levels}>
        <Tabs<Term['kind']>
          label="Kind of terms"
          tabs={[
            { value: 'blocked', label: 'Blocked' },
            { value: 'permitted', label: 'Permitted' },
          ]}
          value={kind}
          onChange={setKind}
        />
        <form className={css.form} onSubmit={(event) => void add(event)}>
          <div className={css.addRow}>
            <Field
              label={kind === 'blocked' ? 'Block' : 'Always let through'}
              required
              minLength={2}
              maxLength={500}
              value={text}
              onChange={(event) => setText(event.target.value)}
              fault={fault}
            />
            <Button type="submit" icon="plus">
              Add
            </Button>
          </div>
          <label className={css.check}>
            <input
              type="checkbox"
              checked={open}
              onChange={(event) => setOpen(event.target.checked)}
            />
            Everybody may see this term
          </label>
        </form>
        <Loaded of={terms}>
          {(found) =>
            found.items.length === 0 ? (
              <p className={css.nothing}>No {kind} terms.</p>
            ) : (
              <ul className={css.rows}>
                {found.items.map((term) => (
                  <li key={term.id}>
                    <span>
                      {term.text} <small>{term.public ? 'public' : 'private'}</small>
                    </span>
                    <Button
                      small
                      look="bare"
                      icon="trash"
                      aria-label={`Remove ${term.text}`}
                      onClick={() =>
                        void attempt(moderation.removeTerm(term.id)).then(() => terms.reload())
                      }
                    />
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
        <More of={terms} />
      </div>
    </Card>
  );
}

function People({
  list,
  title,
  about,
  moderation,
}: {
  list: RoleName;
  title: string;
  about: string;
  moderation: Moderation;
}) {
  const holders = usePages(list, (cursor, signal) => moderation.holders(list, cursor, signal));
  const [login, setLogin] = useState('');
  const [fault, setFault] = useState<string | null>(null);

  async function add(event: SubmitEvent) {
    event.preventDefault();
    setFault(null);
    try {
      await moderation.grant(list, login.trim().replace(/^@/, '').toLowerCase());
      setLogin('');
      holders.reload();
    } catch (error) {
      setFault(
        error instanceof ApiError && error.status === 404
          ? 'There is nobody of that name.'
          : explain(error),
      );
    }
  }

  return (
    <Card title={title} about={about}>
      <form className={css.addRow} onSubmit={(event) => void add(event)}>
        <Field
          label={`Add to ${title}`}
          required
          maxLength={26}
          placeholder="name"
          autoComplete="off"
          value={login}
          onChange={(event) => setLogin(event.target.value)}
          fault={fault}
        />
        <Button type="submit" icon="plus">
          Add
        </Button>
      </form>
      <Loaded of={holders}>
        {(found) =>
          found.items.length === 0 ? (
            <p className={css.nothing}>Nobody yet.</p>
          ) : (
            <ul className={css.rows}>
              {found.items.map(({ user }) => (
                <li key={user.id}>
                  <span>
                    {user.display_name} <small>@{user.login}</small>
                  </span>
                  <Button
                    small
                    look="bare"
                    icon="close"
                    aria-label={`Remove ${user.display_name} from ${title}`}
                    onClick={() =>
                      void attempt(moderation.revoke(list, user.login)).then(() => holders.reload())
                    }
                  />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      <More of={holders} />
    </Card>
  );
}

function Emotes({ login }: { login: string }) {
  const emotes = useResource(`emotes/${login}`, (signal) => channelEmotes(login, signal));
  const file = useRef<HTMLInputElement>(null);
  const [code, setCode] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);

  async function add(event: SubmitEvent) {
    event.preventDefault();
    const picture = file.current?.files?.[0];
    if (!picture) {
      setFault('Choose a picture.');
      return;
    }
    setBusy(true);
    setFault(null);
    try {
      await addEmote(login, code.trim(), picture);
      toast(`${code.trim()} can be used now.`);
      setCode('');
      if (file.current) file.current.value = '';
      forgetEmotes(login);
      emotes.reload();
    } catch (error) {
      setFault(explain(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Card
      title="Emotes"
      about="Square pictures: PNG, WebP, GIF or AVIF, at best 112 pixels or more."
    >
      <form className={css.form} onSubmit={(event) => void add(event)}>
        {fault && <Notice tone="danger">{fault}</Notice>}
        <Field
          label="Picture"
          ref={file}
          type="file"
          accept="image/png,image/webp,image/gif,image/avif"
        />
        <div className={css.addRow}>
          <Field
            label="Code"
            hint="What one types: letters and digits."
            required
            pattern="[A-Za-z0-9]{2,30}"
            maxLength={30}
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
          <Button type="submit" icon="plus" busy={busy}>
            Add
          </Button>
        </div>
      </form>
      <Loaded of={emotes}>
        {(found) =>
          found.items.length === 0 ? (
            <p className={css.nothing}>None yet. Everybody has the site’s own.</p>
          ) : (
            <ul className={css.emotes}>
              {found.items.map((emote) => (
                <li key={emote.id}>
                  <EmoteImage id={emote.id} code={emote.code} size={56} />
                  {emote.code}
                  <Button
                    small
                    look="bare"
                    icon="trash"
                    aria-label={`Remove ${emote.code}`}
                    onClick={() =>
                      void attempt(removeEmote(login, emote.id)).then(() => {
                        forgetEmotes(login);
                        emotes.reload();
                      })
                    }
                  />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Card>
  );
}
