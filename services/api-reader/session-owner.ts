import type { Upstream } from './upstream.ts';

/** Whose a session is. */
export interface Owner {
  readonly type: 'HumanUser' | 'ApiUser';
  readonly id: number;
}

/**
 * Finds out whose a session token is. @returns null where the site does not say: it refuses the token, has no REST API,
 * or answers what we do not understand. @throws SiteUnavailable
 */
export type SessionOwner = (token: string) => Promise<Owner | null>;

/** Where REST gives a token of its own for a session's (protocol §7.1). */
const TOKEN_PATH = '/api/v1/auth/access_token';
const REPLY_BYTES_MAX = 100_000;

/**
 * The JSON API has no call that tells who one is; the access token that REST gives for a session does, in its payload
 * (protocol §7.1). It comes from the site itself, so its signature need not be looked at. It is thrown away.
 */
export function createSessionOwner(upstream: Upstream, requestId: () => string): SessionOwner {
  return async (token) => {
    const form = new URLSearchParams({ grant_type: 'session_token', session_token: token });
    const reply = await upstream.send({
      method: 'POST',
      path: TOKEN_PATH,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: Buffer.from(form.toString()),
      requestId: requestId(),
      // It changes nothing that anybody sees: asked twice, the site gives two tokens.
      isWrite: false,
      isBudgeted: true,
    });
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of reply.body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > REPLY_BYTES_MAX) return null;
      chunks.push(chunk);
    }
    return reply.statusCode === 200 ? ownerIn(Buffer.concat(chunks).toString('utf8')) : null;
  };
}

/** @returns the user that the payload of the access token in a reply names; null for one with sudo, or none. */
export function ownerIn(reply: string): Owner | null {
  try {
    const { access_token: token } = JSON.parse(reply) as { readonly access_token?: unknown };
    if (typeof token !== 'string') return null;
    const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      readonly user?: { readonly type?: unknown; readonly id?: unknown };
      readonly sudo_as_login?: unknown;
    } | null;
    const { type, id } = payload?.user ?? {};
    if (payload?.sudo_as_login != null && payload.sudo_as_login !== '') return null;
    if ((type !== 'HumanUser' && type !== 'ApiUser') || typeof id !== 'number') return null;
    return Number.isSafeInteger(id) && id > 0 ? { type, id } : null;
  } catch {
    // Not JSON, or not a token of that form.
    return null;
  }
}
