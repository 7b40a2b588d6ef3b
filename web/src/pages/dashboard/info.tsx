import { type KeyboardEvent, type SubmitEvent, useState } from 'react';
import { api } from '../../api/client';
import type { Channel } from '../../api/types';
import { useResource } from '../../api/use-resource';
import { Button } from '../../components/button';
import { Field } from '../../components/field';
import { Icon } from '../../components/icon';
import { LanguageSelect } from '../../components/language-select';
import { Loaded } from '../../components/loaded';
import { toast } from '../../components/toasts';
import { Card, FormFault } from '../../components/ui';
import { useSending } from '../../components/use-sending';
import css from './dashboard.module.css';

const TITLE_MAX = 140;
const TAGS_MAX = 10;

/** Title, category, tags, language: what the directory and the channel page say of the stream. */
export function StreamInfo({ login }: { login: string }) {
  const channel = useResource(`channel/${login}`, (signal) =>
    api<Channel>('GET', `/channels/${login}`, { signal }),
  );
  return (
    <Card title="Stream info" about="Shown at once, also in mid-stream.">
      <Loaded of={channel} ghost={css.ghostForm}>
        {(found) => <InfoForm login={login} channel={found} onSaved={channel.put} />}
      </Loaded>
    </Card>
  );
}

function InfoForm({
  login,
  channel,
  onSaved,
}: {
  login: string;
  channel: Channel;
  onSaved: (channel: Channel) => void;
}) {
  const [title, setTitle] = useState(channel.title);
  const [category, setCategory] = useState(channel.category ?? '');
  const [tags, setTags] = useState(channel.tags);
  const [language, setLanguage] = useState(channel.language ?? '');
  const { busy, send, at, apart } = useSending();

  const changed =
    title !== channel.title ||
    category !== (channel.category ?? '') ||
    language !== (channel.language ?? '') ||
    tags.join('\n') !== channel.tags.join('\n');

  function submit(event: SubmitEvent) {
    event.preventDefault();
    void send(async () => {
      const saved = await api<Channel>('PATCH', `/channels/${login}`, {
        body: {
          title: title.trim(),
          category: category.trim() || null,
          tags,
          language: language || null,
        },
      });
      onSaved(saved);
      setTitle(saved.title);
      setCategory(saved.category ?? '');
      setTags(saved.tags);
      toast('Your stream info is saved.');
    });
  }

  const placed = ['title', 'category', 'tags', 'language'];
  return (
    <form className={css.form} onSubmit={submit}>
      <FormFault text={apart(placed)} />
      <Field
        label="Title"
        maxLength={TITLE_MAX}
        placeholder="What is on tonight?"
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        fault={at('title')}
      />
      <Field
        label="Category"
        maxLength={60}
        placeholder="Music, a game, Talk…"
        value={category}
        onChange={(event) => setCategory(event.target.value)}
        fault={at('category')}
      />
      <TagsField tags={tags} onChange={setTags} fault={at('tags')} />
      <LanguageSelect value={language} onChange={setLanguage} fault={at('language')} />
      <Button type="submit" look={changed ? 'primary' : 'plain'} busy={busy}>
        Save
      </Button>
    </form>
  );
}

export function TagsField({
  tags,
  onChange,
  fault,
}: {
  tags: string[];
  onChange: (tags: string[]) => void;
  fault: string | null;
}) {
  const [text, setText] = useState('');

  function add() {
    const fresh = text
      .split(',')
      .map((tag) => tag.trim().replace(/^#/, ''))
      .filter((tag) => tag !== '' && !tags.includes(tag));
    if (fresh.length > 0) onChange([...new Set([...tags, ...fresh])].slice(0, TAGS_MAX));
    setText('');
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === 'Enter' && text.trim() !== '') {
      event.preventDefault();
      add();
    } else if (event.key === ',') {
      event.preventDefault();
      add();
    } else if (event.key === 'Backspace' && text === '' && tags.length > 0) {
      onChange(tags.slice(0, -1));
    }
  }

  return (
    <div className={css.tagsField}>
      <Field
        label="Tags"
        maxLength={60}
        placeholder={tags.length === 0 ? 'english, chill' : ''}
        value={text}
        disabled={tags.length >= TAGS_MAX}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        onBlur={add}
        fault={fault}
        hint={
          tags.length >= TAGS_MAX
            ? `That is all ${TAGS_MAX}. Remove one to add another.`
            : 'Enter or a comma adds one.'
        }
      />
      {tags.length > 0 && (
        <ul className={css.tags} aria-label="Chosen tags">
          {tags.map((tag) => (
            <li key={tag}>
              <button
                type="button"
                className={css.tagButton}
                aria-label={`Remove tag ${tag}`}
                onClick={() => onChange(tags.filter((other) => other !== tag))}
              >
                <span>{tag}</span>
                <Icon name="close" size={14} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
