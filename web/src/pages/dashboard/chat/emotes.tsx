import { type SubmitEvent, useRef, useState } from 'react';
import { addEmote, channelEmotes, removeEmote } from '../../../api/moderation';
import { useResource } from '../../../api/use-resource';
import { attempt } from '../../../chat/cards';
import { EmoteImage } from '../../../chat/message-row';
import { forgetEmotes } from '../../../chat/use-emotes';
import { Button } from '../../../components/button';
import { Field } from '../../../components/field';
import { Loaded } from '../../../components/loaded';
import { toast } from '../../../components/toasts';
import { Card, FormFault } from '../../../components/ui';
import { useSending } from '../../../components/use-sending';
import css from '../dashboard.module.css';

export function Emotes({ login }: { login: string }) {
  const emotes = useResource(`emotes/${login}`, (signal) => channelEmotes(login, signal));
  const file = useRef<HTMLInputElement>(null);
  const [code, setCode] = useState('');
  const { busy, fault, send, refuse } = useSending();

  function add(event: SubmitEvent) {
    event.preventDefault();
    const picture = file.current?.files?.[0];
    if (!picture) {
      refuse('Choose a picture.');
      return;
    }
    void send(async () => {
      await addEmote(login, code.trim(), picture);
      toast(`${code.trim()} can be used now.`);
      setCode('');
      if (file.current) file.current.value = '';
      forgetEmotes(login);
      emotes.reload();
    });
  }

  return (
    <Card
      title="Emotes"
      about="Square pictures: PNG, WebP, GIF or AVIF, at best 112 pixels or more. What one types for them is of letters and digits."
    >
      <form className={css.form} onSubmit={add}>
        <FormFault text={fault} />
        <Field
          label="Picture"
          ref={file}
          type="file"
          accept="image/png,image/webp,image/gif,image/avif"
        />
        <div className={css.addRow}>
          <Field
            label="Code"
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
      <Loaded of={emotes} ghost={css.ghostForm}>
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
