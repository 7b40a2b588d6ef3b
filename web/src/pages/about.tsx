import { Link } from 'wouter';
import { api } from '../api/client';
import { useInstance } from '../api/instance';
import { useResource } from '../api/use-resource';
import { Loaded } from '../components/loaded';
import { Card, EmptyState } from '../components/ui';
import { useTitle } from '../lib/title';
import css from './about.module.css';

interface Texts {
  about: string;
  rules: string;
}

/** What the site says of itself, and its rules. */
export default function AboutPage() {
  useTitle('About');
  const instance = useInstance();
  const texts = useResource('texts', (signal) => api<Texts>('GET', '/instance/texts', { signal }));
  return (
    <Loaded of={texts} ghost={css.ghost}>
      {({ about, rules }) =>
        about === '' && rules === '' ? (
          <EmptyState level="h1" title="Nothing was written here">
            <Link href="/">To the directory</Link>
          </EmptyState>
        ) : (
          <div className={css.page}>
            <div>
              <h1>{instance?.name ?? 'About this site'}</h1>
              {instance?.tagline && <p className={css.tagline}>{instance.tagline}</p>}
            </div>
            {about !== '' && (
              <Card title="About">
                <p className={css.text}>{about}</p>
              </Card>
            )}
            {rules !== '' && (
              <Card title="Rules" id="rules">
                <p className={css.text}>{rules}</p>
              </Card>
            )}
          </div>
        )
      }
    </Loaded>
  );
}
