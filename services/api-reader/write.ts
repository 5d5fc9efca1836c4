import type { Json } from '@understudy/domain/entity';
import { SiteAnswerLost, SiteUnavailable } from '@understudy/site-client/faults';
import { type Answer, type ApiCall, SharedBytes } from './api-call.ts';
import type { Credentials } from './credentials.ts';
import { FAULT_CODES, writeAnswerLost, writeNotSent } from './errors.ts';
import { API_PATH, REPEAT_STATUSES } from './pass-through.ts';
import { plainBytes } from './plain-bytes.ts';
import { beginSettling, type SettleParts } from './settle-write.ts';
import type { Upstream, UpstreamReply } from './upstream.ts';
import { subjectsOf, type WriteMethod, writeRequests } from './write-requests.ts';

export interface WriteParts extends SettleParts {
  readonly upstream: Upstream;
  readonly credentials: Credentials;
}

/** Larger replies to writes are not looked into. */
const REPLY_BYTES_MAX = 100_000_000;
const REASON = 'write';
const SERVER_ERROR = 500;

const AUTHENTICATION_CODES: ReadonlySet<unknown> = new Set([FAULT_CODES.authentication, 106, 108, 110]);

/** What a reply to a write says: its results, or that the site refused. */
type Outcome =
  | { readonly kind: 'done'; readonly results: Json }
  | { readonly kind: 'refused'; readonly code: unknown }
  | { readonly kind: 'unknown' };

async function bytesOf(reply: UpstreamReply): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of reply.body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > REPLY_BYTES_MAX) throw new SiteAnswerLost(`a reply of more than ${REPLY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

async function outcomeOf(reply: UpstreamReply, bytes: Buffer): Promise<Outcome> {
  if (reply.statusCode >= SERVER_ERROR) return { kind: 'unknown' };
  if (reply.statusCode >= 300) return { kind: 'refused', code: reply.statusCode };
  let said: Json;
  try {
    const plain = await plainBytes(reply, bytes, REPLY_BYTES_MAX);
    said = JSON.parse(plain.toString('utf8')) as Json;
  } catch {
    return { kind: 'unknown' };
  }
  // What is in no envelope is the result itself, as clients have it (protocol §1.3).
  if (typeof said !== 'object' || said === null || Array.isArray(said))
    return { kind: 'done', results: said };
  const { exception, error_code: code, results = said } = said as Readonly<Record<string, Json>>;
  return exception ? { kind: 'refused', code } : { kind: 'done', results };
}

/**
 * Makes the replica show what a write did. Never throws.
 * @param results what the site's reply holds; undefined where that is not known.
 */
export type Settled = (results?: Json) => Promise<void>;

/** Writes entities through (protocol §5.1 to §5.4). @throws ReaderError as `writeThrough` does. */
export function writeEntities(parts: WriteParts, call: ApiCall, method: WriteMethod): Promise<Answer> {
  const requests = writeRequests(method, call.envelope.payload);
  const settle = beginSettling(parts, requests, call.requestId);
  return writeThrough(parts, call, (results) =>
    settle(
      subjectsOf(method, requests, results),
      // `delete` and `revive` tell by `false` that it was so already (protocol §5.3).
      results === undefined ? 'unknown' : results === false ? 'nothing-to-do' : 'done',
    ),
  );
}

/**
 * Writes through (protocol §8): the site does the write and its reply is the client's, byte for byte; before the client
 * gets it, everything that the write changed is fetched and merged, so that the next read through any reader shows it.
 * Nothing is ever sent twice.
 * @param settled called once the site did it, or may have done it.
 * @throws ReaderError when the site was not reached, or its answer was lost (protocol §1.4).
 */
export async function writeThrough(parts: WriteParts, call: ApiCall, settled: Settled): Promise<Answer> {
  const { upstream, credentials, log } = parts;
  const { method } = call.envelope;
  let reply: UpstreamReply;
  let bytes: Buffer;
  try {
    reply = await upstream.send({
      method: 'POST',
      path: API_PATH,
      headers: call.headers,
      body: call.body,
      requestId: call.requestId,
      isWrite: true,
      isBudgeted: true,
    });
    bytes = await bytesOf(reply);
  } catch (error) {
    if (error instanceof SiteUnavailable) throw writeNotSent(error.message);
    // Whatever broke after the request was sent: it may have been done.
    log.warn({ err: error, requestId: call.requestId, method }, 'the answer to a write was lost');
    await settled();
    throw writeAnswerLost();
  }
  const outcome = await outcomeOf(reply, bytes);
  if (outcome.kind === 'refused' && AUTHENTICATION_CODES.has(outcome.code))
    credentials.forget(call.envelope.auth);
  if (outcome.kind === 'done') await settled(outcome.results);
  if (outcome.kind === 'unknown') {
    await settled();
    if (REPEAT_STATUSES.has(reply.statusCode)) throw writeAnswerLost();
  }
  return {
    source: 'site',
    reason: REASON,
    statusCode: reply.statusCode,
    headers: reply.headers,
    body: new SharedBytes(bytes),
  };
}
