/**
 * The browser's back and forward, before the router hears of them. A window calls its listeners in the order in
 * which they came, whatever they ask for: this module has to be loaded before the first page is drawn.
 */
let hold: (() => boolean) | null = null;

addEventListener('popstate', (event) => {
  if (hold?.()) event.stopImmediatePropagation();
});

/** Ask `holds` at each move whether it keeps the router where it is. Gives what ends that. */
function onBack(holds: () => boolean): () => void {
  hold = holds;
  return () => {
    hold = null;
  };
}

/**
 * Keep the page that is shown, and `ask` whether to go where the browser wanted to; `leave` goes there. Gives
 * what ends it, which has to be called before `leave`.
 */
export function holdPage(ask: (leave: () => void) => void): () => void {
  const page = location.pathname;
  let here = location.href;
  return onBack(() => {
    if (location.pathname === page) {
      here = location.href;
      return false;
    }
    // The browser has gone there already. Its entry stays behind ours, so that leaving is one step back.
    history.pushState(null, '', here);
    ask(() => history.back());
    return true;
  });
}
