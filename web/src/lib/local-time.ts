/** A moment as a `datetime-local` field writes it, in the reader's own time zone; empty for none. */
export function toLocal(at: string | null): string {
  if (at === null) return '';
  const then = new Date(at);
  const pad = (part: number, size = 2) => String(part).padStart(size, '0');
  const day = `${pad(then.getFullYear(), 4)}-${pad(then.getMonth() + 1)}-${pad(then.getDate())}`;
  return `${day}T${pad(then.getHours())}:${pad(then.getMinutes())}`;
}

/** The moment that such a field names; null for none. */
export function fromLocal(text: string): string | null {
  if (text === '') return null;
  const then = new Date(text);
  return Number.isNaN(then.getTime()) ? null : then.toISOString();
}
