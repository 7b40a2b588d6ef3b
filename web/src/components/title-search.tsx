import { useEffect, useState } from 'react';
import { Button } from './button';
import { Field } from './field';
import css from './title-search.module.css';

/** Looks for videos by their titles: asks when it is sent, and again when it is emptied. */
export function TitleSearch({ asked, onAsk }: { asked: string; onAsk: (q: string) => void }) {
  const [words, setWords] = useState(asked);
  useEffect(() => setWords(asked), [asked]);
  return (
    <form
      role="search"
      className={css.search}
      onSubmit={(event) => {
        event.preventDefault();
        onAsk(words.trim());
      }}
    >
      <Field
        label={<span className="visually-hidden">Search in titles</span>}
        type="search"
        placeholder="Search in titles"
        maxLength={100}
        value={words}
        onChange={(event) => {
          setWords(event.target.value);
          // The field's own cross empties it.
          if (event.target.value === '' && asked !== '') onAsk('');
        }}
      />
      <Button type="submit" icon="search" aria-label="Search" />
    </form>
  );
}
