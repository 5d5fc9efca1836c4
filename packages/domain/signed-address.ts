/** Parameters of a query that sign an address or limit its time, of the stores that sites keep files in. */
const SIGNATURE =
  /^(x-amz-.+|x-goog-.+|awsaccesskeyid|googleaccessid|signature|expires|key-pair-id|policy|sig|se|sp|sv|sr|skoid|sktid|skt|ske|sks|skv|token|nonce|_session_id)$/i;

/**
 * The lasting part of an address that a site mints anew for each read (protocol §3.5): the same for the same file, and
 * of no use to whoever has only it. What is no address is given as it is.
 */
export function withoutSignature(address: string): string {
  const start = address.indexOf('?');
  if (start < 0) return address;
  const end = address.indexOf('#', start);
  const query = address.slice(start + 1, end < 0 ? undefined : end);
  const kept = query.split('&').filter((part) => part !== '' && !SIGNATURE.test(part.split('=', 1)[0] ?? ''));
  return address.slice(0, start) + (kept.length === 0 ? '' : `?${kept.join('&')}`);
}
