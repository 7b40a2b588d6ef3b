import { Button } from '../../components/button';
import css from './video.module.css';

/** In a player's bar. */
export function ClipButton({ onClick }: { onClick: () => void }) {
  return (
    <Button
      look="bare"
      small
      icon="clip"
      title="Make a clip"
      className={css.clip}
      onClick={onClick}
    >
      <span>Clip</span>
    </Button>
  );
}
