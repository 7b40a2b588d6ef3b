/** Names a request at random, so that it can be repeated without being done twice. */
export function requestId(): string {
  // randomUUID() is there over HTTPS only.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
