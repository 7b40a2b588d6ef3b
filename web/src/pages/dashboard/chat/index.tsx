import { useMemo } from 'react';
import { moderationOf } from '../../../api/moderation';
import { useSession } from '../../../api/session';
import { useResource } from '../../../api/use-resource';
import { ModeControls } from '../../../chat/modes';
import { ButtonLink } from '../../../components/button';
import { Loaded } from '../../../components/loaded';
import { Card } from '../../../components/ui';
import { useTitle } from '../../../lib/title';
import css from '../dashboard.module.css';
import { DashboardNav } from '../nav';
import { AutoModCard } from './automod';
import { Emotes } from './emotes';
import { LinksCard } from './links';
import { People } from './people';
import { GuardCard, ShieldCard } from './shield';
import { Terms } from './terms';

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
          <Loaded of={settings} ghost={css.ghostForm}>
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
          <Terms moderation={moderation} />
          <Emotes login={login} />
        </div>
      </div>
    </div>
  );
}
