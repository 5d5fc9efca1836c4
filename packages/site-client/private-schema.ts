import { request } from 'undici';
import { SiteProtocolError, SiteUnavailable } from './faults.ts';
import type { SiteClient } from './site-client.ts';

const OK = 200;
const SERVER_ERROR = 500;

/**
 * The site's page with its private schema (protocol §5.8), asked for with a session of the client's credentials.
 * @returns the page's text.
 * @throws SiteUnavailable, SiteFault, SiteProtocolError when the site does not show it to these credentials.
 */
export async function readPrivateSchemaPage(
  site: SiteClient,
  options: { readonly url: string; readonly timeoutMs: number },
): Promise<string> {
  const { results } = await site.call('get_session_token', undefined, { priority: 'client' });
  const token = (results as { readonly session_id?: unknown } | null)?.session_id;
  if (typeof token !== 'string') throw new SiteProtocolError('get_session_token gave no session');
  const answer = await request(new URL('/page/schema', options.url), {
    headers: { cookie: `_session_id=${token}` },
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
  }).catch((error: unknown) => {
    throw new SiteUnavailable(
      `the page of the schema: ${error instanceof Error ? error.message : String(error)}`,
    );
  });
  const text = await answer.body.text();
  if (answer.statusCode >= SERVER_ERROR)
    throw new SiteUnavailable(`the page of the schema: HTTP ${answer.statusCode}`);
  if (answer.statusCode !== OK)
    throw new SiteProtocolError(`the site does not show its schema's page: HTTP ${answer.statusCode}`);
  return text;
}
