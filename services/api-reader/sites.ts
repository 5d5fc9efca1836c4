/** The sites that requests may lead to, by the exact text that names them in a request. */
export interface Sites {
  /** @returns the address of an allowed site for `host` or `host:port` as written in a request, or null. */
  addressOf(host: string): string | null;
  /** Whether an address is that of the site that is replicated. */
  isReplicated(address: string): boolean;
  /** Whether a tunnel to `host:port` may be opened (CONNECT). */
  mayTunnelTo(hostAndPort: string): boolean;
  /** Whether `host:port` is the replicated site's. */
  isReplicatedAuthority(hostAndPort: string): boolean;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/** `host:port`, the port always said. */
function authorityOf(url: URL): string {
  return `${url.hostname}:${url.port === '' ? DEFAULT_PORTS[url.protocol] : url.port}`;
}

/**
 * The list of allowed sites: the replicated one and those configured, as `host` or `host:port` reached by https. A
 * request's host is only ever compared with the list, letter by letter, and what is asked is the list's own address:
 * no other spelling of a host (IP forms, user info, encodings) can lead anywhere (the replica is no open proxy).
 */
export function allowedSites(siteUrl: string, more: readonly string[]): Sites {
  const replicated = new URL(siteUrl);
  const addresses = new Map<string, string>();
  const authorities = new Set<string>();
  for (const url of [replicated, ...more.map((host) => new URL(`https://${host}`))]) {
    authorities.add(authorityOf(url));
    for (const name of [url.host, authorityOf(url)])
      if (!addresses.has(name)) addresses.set(name, url.origin);
  }
  return {
    addressOf: (host) => addresses.get(host.toLowerCase()) ?? null,
    isReplicated: (address) => address === replicated.origin,
    isReplicatedAuthority: (hostAndPort) => hostAndPort.toLowerCase() === authorityOf(replicated),
    mayTunnelTo: (hostAndPort) => authorities.has(hostAndPort.toLowerCase()),
  };
}

/** How a site is named in front of a path: `/next=site.example.com/api3/json`. */
export const NEXT = '/next=';
/** Names no site, so what is asked of it is refused. */
const NOWHERE = `${NEXT}-`;

/**
 * Where a request of any form leads, as a path of our own: paths of the replicated site stand alone, those of other
 * allowed sites have `/next=host` in front, and what is not allowed leads to `/next=-`.
 * @param target the request target: `/path`, `/next=host/path`, or `http://host/path` as a proxy gets it.
 */
export function localPath(sites: Sites, target: string): string {
  let host: string;
  let path: string;
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/is.exec(target);
  if (absolute !== null) [, host = '', path = ''] = absolute;
  else if (target.startsWith(NEXT)) {
    const end = target.indexOf('/', NEXT.length);
    host = target.slice(NEXT.length, end < 0 ? undefined : end);
    path = end < 0 ? '' : target.slice(end);
  } else return target.startsWith('/') ? target : `${NOWHERE}/`;
  const rooted = path.startsWith('/') ? path : `/${path}`;
  const address = sites.addressOf(host);
  // A second hop is never taken.
  if (address === null || rooted.startsWith(NEXT)) return `${NOWHERE}/`;
  return sites.isReplicated(address) ? rooted : `${NEXT}${host.toLowerCase()}${rooted}`;
}
