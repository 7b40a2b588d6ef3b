import { ApiError } from '../../api/client';
import type { Resource } from '../../api/use-resource';
import { FailedPage } from '../../components/loaded';
import { Skeleton } from '../../components/ui';
import channelCss from '../channel.module.css';
import { NotFoundPage } from '../not-found';

/** The page of a video or a clip that is not here: on its way, gone, or not to be had at the moment. */
export function Absent({
  what,
  of,
}: {
  what: 'video' | 'clip';
  of: Pick<Resource<unknown>, 'error' | 'reload'>;
}) {
  if (of.error === undefined) {
    return (
      <div className={channelCss.page} role="status" aria-label={`Loading the ${what}`}>
        <div className={channelCss.stageArea}>
          <Skeleton className={channelCss.stage} />
        </div>
      </div>
    );
  }
  if (of.error instanceof ApiError && of.error.status === 404) return <NotFoundPage what={what} />;
  return <FailedPage of={of} level="h1" title={`The ${what} did not load`} />;
}
