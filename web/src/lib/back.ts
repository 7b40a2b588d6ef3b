/**
 * The browser's back and forward, before the router hears of them. A window calls its listeners in the order in
 * which they came, whatever they ask for: this module has to be loaded before the first page is drawn.
 */
let hold: (() => boolean) | null = null;

addEventListener('popstate', (event) => {
  if (hold?.()) event.stopImmediatePropagation();
});

/** Ask `holds` at each move whether it keeps the router where it is. Gives what ends that. */
export function onBack(holds: () => boolean): () => void {
  hold = holds;
  return () => {
    hold = null;
  };
}
