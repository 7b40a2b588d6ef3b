import { type SubmitEvent, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { useSession } from '../../api/session';
import { type ClipDetail, clips } from '../../api/videos';
import { attempt } from '../../chat/cards';
import { ReplayPanel } from '../../chat/replay-panel';
import { Button, ButtonLink } from '../../components/button';
import { Dialog } from '../../components/dialog';
import { Field } from '../../components/field';
import { FollowButton } from '../../components/follow-button';
import { ReportDialog } from '../../components/report';
import { ShareDialog } from '../../components/share';
import { Ago } from '../../components/time';
import { Avatar } from '../../components/ui';
import { useSending } from '../../components/use-sending';
import { cx } from '../../lib/cx';
import { formatCount } from '../../lib/format';
import { useTitle } from '../../lib/title';
import { usePlace } from '../../player/use-place';
import type { VideoPlayer } from '../../player/video-player';
import channelCss from '../channel.module.css';
import { Absent } from './absent';
import { ClipStage, useClip } from './clip-stage';
import css from './video.module.css';

export default function ClipPage({ id }: { id: string }) {
  const found = useClip(id);
  useTitle(found.data?.title ?? 'Clip');

  if (found.data) return <Page clip={found.data} onChanged={found.put} />;
  return <Absent what="clip" of={found} />;
}

function Page({ clip, onChanged }: { clip: ClipDetail; onChanged: (clip: ClipDetail) => void }) {
  const [engine, setEngine] = useState<VideoPlayer | null>(null);
  const [sharing, setSharing] = useState(false);
  const [removing, setRemoving] = useState(false);
  const { user } = useSession();
  const [reporting, setReporting] = useState(false);
  const [renaming, setRenaming] = useState(false);
  const [, navigate] = useLocation();
  const { at, end } = usePlace(engine);
  const { channel } = clip;

  return (
    <div className={cx(channelCss.page, css.clipPage)}>
      <div className={channelCss.stageArea}>
        <div className={channelCss.stage}>
          <ClipStage clip={clip} onEngine={setEngine} />
        </div>
      </div>
      <div className={channelCss.about}>
        <div className={channelCss.headline}>
          <Link href={`/${channel.login}`} tabIndex={-1} aria-hidden="true" className={css.face}>
            <Avatar name={channel.display_name} size="large" />
          </Link>
          <div className={channelCss.words}>
            <h1 className={channelCss.title}>{clip.title}</h1>
            <p className={channelCss.name}>
              <Link href={`/${channel.login}`} className={css.channel}>
                {channel.display_name}
              </Link>
              <span>
                {formatCount(clip.views)} {clip.views === 1 ? 'view' : 'views'}
              </span>
              <span>
                <Ago at={clip.created_at} />
                {clip.creator && <> · cut by {clip.creator.display_name}</>}
              </span>
            </p>
          </div>
          <div className={channelCss.figures}>
            <FollowButton channel={channel.login} name={channel.display_name} />
          </div>
        </div>
        <div className={css.clipActions}>
          {clip.video && (
            <ButtonLink
              href={`/videos/${clip.video.id}?t=${Math.floor(clip.start_s)}`}
              look="primary"
              small
              icon="play"
            >
              Watch the whole video
            </ButtonLink>
          )}
          <Button small look="quiet" icon="share" onClick={() => setSharing(true)}>
            Share
          </Button>
          {clip.download_url && (
            <ButtonLink
              small
              look="quiet"
              icon="download"
              href={clip.download_url}
              download={`${clip.title.replace(/[^\p{L}\p{N} _-]/gu, '').slice(0, 60) || clip.id}.mp4`}
            >
              Download
            </ButtonLink>
          )}
          {clip.may_edit && (
            <Button small look="bare" onClick={() => setRenaming(true)}>
              Rename
            </Button>
          )}
          {user && user.id !== clip.creator?.id && (
            <Button
              small
              look="bare"
              icon="flag"
              aria-label="Report this clip"
              title="Report"
              onClick={() => setReporting(true)}
            />
          )}
          {clip.may_delete && (
            <Button small look="bare" icon="trash" onClick={() => setRemoving(true)}>
              Delete
            </Button>
          )}
        </div>
      </div>
      <aside className={channelCss.chat} aria-label="Chat">
        <ReplayPanel
          of={`clips/${clip.id}`}
          at={at}
          end={Math.max(end, clip.duration_s)}
          name={channel.display_name}
        />
      </aside>
      <Dialog open={renaming} title="Rename this clip" onClose={() => setRenaming(false)}>
        <Rename
          clip={clip}
          onDone={(now) => {
            onChanged(now);
            setRenaming(false);
          }}
        />
      </Dialog>
      <ReportDialog
        about={reporting ? { kind: 'clip', clip: clip.id } : null}
        what={`the clip “${clip.title}”`}
        onClose={() => setReporting(false)}
      />
      <ShareDialog
        what="the clip"
        path={`clips/${clip.id}`}
        title={clip.title}
        open={sharing}
        onClose={() => setSharing(false)}
      />
      <Dialog
        open={removing}
        title="Delete this clip?"
        onClose={() => setRemoving(false)}
        actions={
          <>
            <Button onClick={() => setRemoving(false)}>Keep it</Button>
            <Button
              look="danger"
              onClick={() =>
                void attempt(clips.remove(clip.id), 'The clip is deleted.').then((done) => {
                  if (done) navigate(`/${channel.login}/clips`);
                })
              }
            >
              Delete
            </Button>
          </>
        }
      >
        <p>It is gone for everybody, at once and for good.</p>
      </Dialog>
    </div>
  );
}

function Rename({ clip, onDone }: { clip: ClipDetail; onDone: (clip: ClipDetail) => void }) {
  const [title, setTitle] = useState(clip.title);
  const { busy, fault, send } = useSending();
  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => onDone(await clips.rename(clip.id, title.trim())));
  }
  return (
    <form className={css.rename} onSubmit={submit}>
      <Field
        label="Title"
        required
        maxLength={140}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        fault={fault}
      />
      <Button type="submit" look="primary" busy={busy}>
        Save
      </Button>
    </form>
  );
}
