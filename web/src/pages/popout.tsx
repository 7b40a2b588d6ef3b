import { useTitle } from '../lib/title';
import { ChatPanel } from '../chat/panel';
import css from './popout.module.css';

/** A chat in a window of its own. */
export default function PopoutPage({ login }: { login: string }) {
  useTitle(`Chat of ${login}`);
  return (
    <div className={css.page}>
      <h1 className="visually-hidden">Chat of {login}</h1>
      <ChatPanel channel={login} name={login} />
    </div>
  );
}
