import { SiteAnswerLost, SiteUnavailable } from '@understudy/site-client/faults';
import { isReadMethod } from '@understudy/site-client/site-client';
import type { Answer, ApiCall } from './api-call.ts';
import { siteAway, writeAnswerLost, writeNotSent } from './errors.ts';
import type { Upstream } from './upstream.ts';

/** Where calls of the JSON API go, from the root of the host (protocol §1.1). */
export const API_PATH = '/api3/json';

/** Statuses that invite the client to send a request again (protocol §1.4). */
export const REPEAT_STATUSES: ReadonlySet<number> = new Set([502, 504]);

/**
 * Sends a call on to the site as it came, and gives the site's reply as it comes.
 * @param reason why it is not answered here.
 * @throws ReaderError when there is no reply; after a write it is one that invites nobody to repeat it (protocol §1.4).
 */
export async function passThrough(upstream: Upstream, call: ApiCall, reason: string): Promise<Answer> {
  const isWrite = !isReadMethod(call.envelope.method);
  try {
    const reply = await upstream.send({
      method: 'POST',
      path: API_PATH,
      headers: call.headers,
      body: call.body,
      requestId: call.requestId,
      isWrite,
      isBudgeted: true,
      // A write goes on without its client: half of it helps nobody.
      ...(isWrite ? {} : { signal: call.signal }),
    });
    if (isWrite && REPEAT_STATUSES.has(reply.statusCode)) {
      reply.body.destroy();
      throw writeAnswerLost();
    }
    return { source: 'site', reason, ...reply };
  } catch (error) {
    if (error instanceof SiteAnswerLost) throw writeAnswerLost();
    if (error instanceof SiteUnavailable) throw isWrite ? writeNotSent(error.message) : siteAway(reason);
    throw error;
  }
}
