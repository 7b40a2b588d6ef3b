import { ButtonLink } from '../components/button';
import { EmptyState } from '../components/ui';
import { useTitle } from '../lib/title';

const WORDS = {
  page: [
    'There is nothing on this stage',
    'The address may have a slip in it, or the page has moved.',
  ],
  channel: [
    'There is no such channel',
    'Names are easily mistyped. If the address is right, the channel may have been deleted.',
  ],
  video: [
    'There is no such video',
    'It may have been deleted, or its owner keeps it to themselves.',
  ],
  clip: ['There is no such clip', 'It may have been deleted.'],
} as const;

export function NotFoundPage({ what = 'page' }: { what?: keyof typeof WORDS }) {
  useTitle('Not found');
  const [title, why] = WORDS[what];
  return (
    <EmptyState
      level="h1"
      title={title}
      actions={
        what === 'video' || what === 'clip' ? (
          <ButtonLink href="/videos" look="primary">
            See the videos
          </ButtonLink>
        ) : (
          <ButtonLink href="/" look="primary">
            See who is live
          </ButtonLink>
        )
      }
    >
      {why}
    </EmptyState>
  );
}
