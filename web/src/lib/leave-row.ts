/**
 * Before a row of a list goes: take the keyboard's place out of it, to the row beside it or to the page. A
 * browser would let it fall back to the very start.
 */
export function leaveRow(inside: Element | null) {
  const row = inside?.closest('li') ?? null;
  if (!row?.contains(document.activeElement)) return;
  const beside = row.nextElementSibling ?? row.previousElementSibling;
  const place =
    beside?.querySelector<HTMLElement>('a[href]:not([tabindex="-1"]), button') ??
    document.getElementById('main');
  place?.focus({ preventScroll: true });
}
