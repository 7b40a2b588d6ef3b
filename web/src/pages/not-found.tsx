import { ButtonLink } from '../components/button';
import { EmptyState } from '../components/ui';
import { useTitle } from '../lib/title';

export function NotFoundPage({ what = 'page' }: { what?: 'page' | 'channel' }) {
  useTitle('Not found');
  return (
    <EmptyState
      level="h1"
      title={what === 'page' ? 'There is nothing on this stage' : 'There is no such channel'}
      actions={
        <ButtonLink href="/" look="primary">
          See who is live
        </ButtonLink>
      }
    >
      {what === 'page'
        ? 'The address may have a slip in it, or the page has moved.'
        : 'Names are easily mistyped. If the address is right, the channel may have been deleted.'}
    </EmptyState>
  );
}
