import { promisify } from 'node:util';
import { unzip } from 'node:zlib';
import type { EntityRef, Json } from '@understudy/domain/entity';
import type { Replica } from '@understudy/pipeline/replica';
import type { Logger } from '@understudy/runtime/logging';
import { SiteAnswerLost, SiteUnavailable } from '@understudy/site-client/faults';
import { and, leaf } from '@understudy/site-client/filters';
import type { Answer, ApiCall } from './api-call.ts';
import type { Credentials } from './credentials.ts';
import { FAULT_CODES, writeAnswerLost, writeNotSent } from './errors.ts';
import { API_PATH, REPEAT_STATUSES } from './pass-through.ts';
import type { RefreshDebt } from './refresh-debt.ts';
import { sideEffects } from './side-effects.ts';
import type { Upstream, UpstreamReply } from './upstream.ts';
import { subjectsOf, type WriteMethod, type WriteRequest, writeRequests } from './write-requests.ts';

export interface WriteParts {
  readonly upstream: Upstream;
  readonly credentials: Credentials;
  readonly debt: RefreshDebt;
  /** Null while it is not ready; writes are then merged later. */
  readonly replica: () => Replica | null;
  readonly log: Logger;
}

/** Larger replies to writes are not looked into. */
const REPLY_BYTES_MAX = 100_000_000;
const REASON = 'write';
const TASK = 'Task';
const SERVER_ERROR = 500;

const unzipped = promisify(unzip);
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
  let envelope: { readonly exception?: unknown; readonly error_code?: unknown; readonly results?: Json };
  try {
    const isPlain = reply.headers['content-encoding'] === undefined;
    const plain = isPlain ? bytes : await unzipped(bytes, { maxOutputLength: REPLY_BYTES_MAX });
    envelope = JSON.parse(plain.toString('utf8')) ?? {};
  } catch {
    return { kind: 'unknown' };
  }
  if (envelope.exception) return { kind: 'refused', code: envelope.error_code };
  return { kind: 'done', results: envelope.results ?? null };
}

/**
 * Tasks that the site made from a task template, of which the reply says nothing (protocol §5.1). The replica cannot
 * know them, so the site is asked.
 */
async function templateTasks(
  replica: Replica,
  requests: readonly (WriteRequest | null)[],
  subjects: readonly EntityRef[],
): Promise<readonly EntityRef[]> {
  const types = new Set(
    requests.flatMap((request) => (request?.fields.includes('task_template') ? [request.type] : [])),
  );
  const owners = subjects.filter((ref) => types.has(ref.type) && ref.type !== TASK);
  if (owners.length === 0 || !replica.schema.types.has(TASK)) return [];
  const filters = and(leaf('entity', 'in', ...owners.map(({ type, id }) => ({ type, id }))));
  const found: EntityRef[] = [];
  const pages = replica.site.readAllById(
    { type: TASK, fields: ['id'], filters, returnOnly: 'active' },
    { priority: 'client' },
  );
  for await (const page of pages) found.push(...page.results.map(({ id }) => ({ type: TASK, id })));
  return found;
}

/**
 * Writes through (protocol §5.1 to §5.4, §8): the site does the write and its reply is the client's, byte for byte;
 * before the client gets it, every entity that the write changed is fetched and merged, so that the next read through
 * any reader shows it. Nothing is ever sent twice.
 * @throws ReaderError when the site was not reached, or its answer was lost (protocol §1.4).
 */
export async function writeThrough(parts: WriteParts, call: ApiCall, method: WriteMethod): Promise<Answer> {
  const { upstream, credentials, debt, log } = parts;
  const requests = writeRequests(method, call.envelope.payload);
  const replica = parts.replica();
  // Asked while the write is under way: what it links to now is known no more once it is merged.
  const affected =
    replica === null
      ? Promise.resolve([])
      : sideEffects(replica.db.pool, replica.schema, requests).catch((error: unknown) => {
          log.warn({ err: error, requestId: call.requestId }, 'the side effects of a write are not known');
          return [];
        });
  const settle = async (results: Json | undefined): Promise<void> => {
    const subjects = subjectsOf(method, requests, results);
    const kept = [...subjects, ...(await affected)].filter((ref) => replica?.schema.types.has(ref.type));
    const made =
      replica === null || results === undefined
        ? []
        : await templateTasks(replica, requests, subjects).catch((error: unknown) => {
            log.warn({ err: error, requestId: call.requestId }, 'the tasks of a template are not known');
            return [];
          });
    await debt.settle(replica, replica === null ? subjects : [...kept, ...made]);
  };

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
    await settle(undefined);
    throw writeAnswerLost();
  }
  const outcome = await outcomeOf(reply, bytes);
  if (outcome.kind === 'refused' && AUTHENTICATION_CODES.has(outcome.code))
    credentials.forget(call.envelope.auth);
  if (outcome.kind === 'done') await settle(outcome.results);
  if (outcome.kind === 'unknown') {
    await settle(undefined);
    if (REPEAT_STATUSES.has(reply.statusCode)) throw writeAnswerLost();
  }
  return {
    source: 'site',
    reason: REASON,
    statusCode: reply.statusCode,
    headers: reply.headers,
    body: bytes,
  };
}
