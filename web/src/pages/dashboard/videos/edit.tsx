import { useRef, useState, type SubmitEvent } from 'react';
import { useResource } from '../../../api/use-resource';
import { videos, type VideoDetail, type Visibility } from '../../../api/videos';
import { attempt } from '../../../chat/cards';
import { Button } from '../../../components/button';
import { Dialog } from '../../../components/dialog';
import { Field, Select, TextArea } from '../../../components/field';
import { LanguageSelect } from '../../../components/language-select';
import { Loaded } from '../../../components/loaded';
import { toast } from '../../../components/toasts';
import { FormFault } from '../../../components/ui';
import { useSending } from '../../../components/use-sending';
import { Still } from '../../../components/video-card';
import { formatClock } from '../../../lib/format';
import { fromLocal, toLocal } from '../../../lib/local-time';
import { Sprite } from '../../../player/timeline';
import { useStoryboard } from '../../../player/use-storyboard';
import css from '../dashboard.module.css';
import { TagsField } from '../info';
import { VISIBILITIES } from './row';
import own from './videos.module.css';

const TITLE_MAX = 140;
const DESCRIPTION_MAX = 5000;
/** How wide the picture is (videos.module.css). */
const PICTURE_PX = 224;
const PLACED = ['title', 'description', 'category', 'tags', 'language', 'published_at'];

export function EditDialog({
  id,
  onClose,
  onChanged,
}: {
  id: string;
  onClose: () => void;
  onChanged: () => void;
}) {
  const video = useResource(`edit/${id}`, (signal) => videos.get(id, signal));
  return (
    <Dialog open title="Edit the video" wide onClose={onClose}>
      <Loaded of={video} ghost={css.ghostForm}>
        {(found) => (
          <>
            <Poster video={found} onChanged={onChanged} />
            <Form
              video={found}
              onSaved={() => {
                onChanged();
                onClose();
              }}
            />
          </>
        )}
      </Loaded>
    </Dialog>
  );
}

/** The picture of the video: one of its own, or one that is uploaded. */
function Poster({ video, onChanged }: { video: VideoDetail; onChanged: () => void }) {
  const [url, setUrl] = useState(video.thumbnail_url);
  const [at, setAt] = useState(Math.floor(video.duration_s / 3));
  const [busy, setBusy] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const storyboard = useStoryboard(video.storyboard_url);
  /** The slider was moved: its moment is shown until it is taken. */
  const [choosing, setChoosing] = useState(false);
  const moment = choosing ? storyboard.at(at) : null;
  if (video.status !== 'ready') return null;

  async function take(work: Promise<{ thumbnail_url: string | null }>) {
    setBusy(true);
    await attempt(
      work.then((made) => {
        setUrl(made.thumbnail_url);
        setChoosing(false);
      }),
      'The picture is changed.',
    );
    setBusy(false);
    onChanged();
  }

  return (
    <section className={own.poster} aria-label="Picture">
      <div className={own.picture}>
        <Still url={url} eager />
        {moment && (
          <span className={own.moment}>
            <Sprite picture={moment} width={PICTURE_PX} />
          </span>
        )}
      </div>
      <div className={own.posterChoice}>
        <label>
          A moment of the video: {formatClock(at)}
          <input
            type="range"
            min={0}
            max={Math.floor(video.duration_s)}
            value={at}
            onFocus={storyboard.reach}
            onPointerDown={storyboard.reach}
            onChange={(event) => {
              setAt(Number(event.target.value));
              setChoosing(true);
            }}
          />
        </label>
        <p className={own.pills}>
          <Button small busy={busy} onClick={() => void take(videos.posterAt(video.id, at))}>
            Take this one
          </Button>
          <Button small look="quiet" icon="upload" onClick={() => file.current?.click()}>
            Upload a picture
          </Button>
        </p>
        <input
          ref={file}
          type="file"
          className="visually-hidden"
          tabIndex={-1}
          aria-label="A picture for the video"
          accept="image/png,image/jpeg,image/webp,image/avif,image/gif"
          onChange={(event) => {
            const picture = event.target.files?.[0];
            if (picture) void take(videos.poster(video.id, picture));
            event.target.value = '';
          }}
        />
      </div>
    </section>
  );
}

function Form({ video, onSaved }: { video: VideoDetail; onSaved: () => void }) {
  const [title, setTitle] = useState(video.title);
  const [description, setDescription] = useState(video.description);
  const [category, setCategory] = useState(video.category ?? '');
  const [tags, setTags] = useState(video.tags);
  const [language, setLanguage] = useState(video.language ?? '');
  const [visibility, setVisibility] = useState(video.visibility);
  const [published, setPublished] = useState(toLocal(video.published_at));
  const { busy, send, at, apart } = useSending();

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      await videos.change(video.id, {
        title: title.trim(),
        description: description.trim(),
        category: category.trim() || null,
        tags,
        language: language || null,
        visibility,
        // The field knows minutes only: what was not touched stays to the second.
        ...(published !== toLocal(video.published_at) && { published_at: fromLocal(published) }),
      });
      toast('The video is saved.');
      onSaved();
    });
  }

  return (
    <form className={css.form} onSubmit={submit}>
      <FormFault text={apart(PLACED)} />
      <Field
        label="Title"
        maxLength={TITLE_MAX}
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        fault={at('title')}
      />
      <TextArea
        label="Description"
        maxLength={DESCRIPTION_MAX}
        value={description}
        onChange={(event) => setDescription(event.target.value)}
        fault={at('description')}
        hint="Times such as 12:30 lead to that place in the video."
      />
      <div className={own.pair}>
        <Field
          label="Category"
          maxLength={60}
          value={category}
          onChange={(event) => setCategory(event.target.value)}
          fault={at('category')}
        />
        <LanguageSelect value={language} onChange={setLanguage} fault={at('language')} />
      </div>
      <TagsField tags={tags} onChange={setTags} fault={at('tags')} />
      <div className={own.pair}>
        <Select
          label="Who may watch"
          value={visibility}
          onChange={(event) => setVisibility(event.target.value as Visibility)}
        >
          {VISIBILITIES.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </Select>
        <Field
          label="Published"
          type="datetime-local"
          value={published}
          onChange={(event) => setPublished(event.target.value)}
          fault={at('published_at')}
          hint={`In your time (${Intl.DateTimeFormat().resolvedOptions().timeZone}). Until then only you see it; empty: not published.`}
        />
      </div>
      <p className={own.save}>
        <Button type="submit" look="primary" busy={busy}>
          Save
        </Button>
      </p>
    </form>
  );
}
