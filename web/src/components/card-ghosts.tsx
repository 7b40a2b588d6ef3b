import css from './card-ghosts.module.css';
import { Skeleton } from './ui';

const MANY = 8;

/** What stands in a grid of cards until they are there. */
export function CardGhosts() {
  return Array.from({ length: MANY }, (_, index) => (
    <div key={index} className={css.ghost}>
      <Skeleton className={css.picture} />
      <Skeleton className={css.line} />
      <Skeleton className={css.short} />
    </div>
  ));
}
