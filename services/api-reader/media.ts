import type { Readable } from 'node:stream';
import type { Replica } from '@understudy/pipeline/replica';
import { SiteAnswerLost, SiteUnavailable } from '@understudy/site-client/faults';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { answerLost, ClientGone, ReaderError, restFault, siteAway } from './errors.ts';
import { REPEAT_STATUSES } from './pass-through.ts';
import { plainBytes } from './plain-bytes.ts';
import { isRestRead, restSubjects, restWrites } from './rest-writes.ts';
import { beginSettling, type Settle, type SettleParts } from './settle-write.ts';
import { withHead } from './stream-head.ts';
import { FORM_HEAD_BYTES, formFields, uploadSubjects } from './upload-writes.ts';
import type { Upstream, UpstreamReply } from './upstream.ts';
import type { WriteRequest } from './write-requests.ts';

export interface MediaParts {
  /** Where a request leads. @throws ReaderError for a site that is not allowed. */
  readonly upstreamOf: (request: FastifyRequest) => Upstream;
  /** What writes are merged with; null for another site than the replicated one, of which nothing is kept. */
  readonly settling: SettleParts | null;
  /** To be called once the schema of the replicated site was changed, before the client hears of it. Never throws. */
  readonly schemaChanged: () => Promise<void>;
  /** What stands in front of the paths and is not the site's, as a route of fastify; empty for none. */
  readonly prefix: string;
}

const UPLOAD = '/upload/*';
const REST = '/api/*';
/** Where files are, from the root of the host, and the REST API, which is passed on as it is (protocol §5.10, §7). */
const PASSED_ON = [UPLOAD, '/file_serve/*', '/thumbnail/*', '/files/*', '/images/*', REST];
/** A prefix as it comes: the name of a site. */
const PREFIX = /^\/next=[^/]*/;
const METHODS = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;
/** OPTIONS is how browsers ask whether they may call the REST API from another site's page (protocol §7.1). */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const SERVER_ERROR = 500;
/** Larger requests of the REST API are not looked into; what their path names is fetched all the same. */
const REST_HEAD_BYTES = 1024 * 1024;
/** Of replies to writes; those to uploads are a few lines. */
const REPLY_BYTES_MAX = 50_000_000;

/** What the upload endpoints say on failure (protocol §5.10): the client repeats on any HTTP error (§1.4). */
const uploadFailure = (why: string): string => `0\n${why}\n`;

/**
 * Files in both directions and the REST API, streamed: of a write only the beginning is looked into, to know what it
 * changes, which is fetched and merged before the reply. Nothing is sent twice; cookies go along. A failed upload is told
 * with status 200 and `0…`, since the client sends it again on any error status.
 */
export function media(app: FastifyInstance, parts: MediaParts): void {
  app.register(async (files) => {
    files.removeAllContentTypeParsers();
    files.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    files.setErrorHandler((error, request, reply) => {
      if (!(error instanceof ReaderError) || !isRest(parts, request)) throw error;
      return reply.code(error.statusCode).send(restFault(error, request.id));
    });
    for (const url of PASSED_ON) {
      files.route({
        method: [...METHODS],
        url: `${parts.prefix}${url}`,
        handler: (request, reply) => {
          reply.header('x-understudy', `site; reason=${url === REST ? 'rest' : 'media'}`);
          if (SAFE_METHODS.has(request.method)) return read(parts, request, reply);
          if (url === UPLOAD) return upload(parts, request, reply);
          return url === REST ? rest(parts, request, reply) : write(parts, request, reply, bodyOf(request));
        },
      });
    }
  });
}

const isRest = (parts: MediaParts, { routeOptions: { url } }: FastifyRequest): boolean =>
  url === `${parts.prefix}${REST}`;

const bodyOf = (request: FastifyRequest): Readable | null =>
  request.body === undefined ? null : request.raw;

const relay = (
  reply: FastifyReply,
  answer: UpstreamReply,
  body: Readable | Buffer = answer.body,
): FastifyReply => reply.code(answer.statusCode).headers(answer.headers).send(body);

async function sendOn(
  parts: MediaParts,
  request: FastifyRequest,
  reply: FastifyReply,
  body: Readable | null,
  isWrite: boolean,
): Promise<UpstreamReply> {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort(new ClientGone()));
  return parts.upstreamOf(request).send({
    method: request.method,
    path: parts.prefix === '' ? request.url : request.url.replace(PREFIX, ''),
    headers: request.headers,
    body,
    requestId: request.id,
    isWrite,
    isBudgeted: false,
    signal: gone.signal,
  });
}

async function read(parts: MediaParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  try {
    return relay(reply, await sendOn(parts, request, reply, null, false));
  } catch (error) {
    if (error instanceof SiteUnavailable) throw siteAway('files');
    throw error;
  }
}

async function write(
  parts: MediaParts,
  request: FastifyRequest,
  reply: FastifyReply,
  body: Readable | null,
): Promise<FastifyReply> {
  const isWrite = !isRestRead(request.url);
  const answer = await sendOn(parts, request, reply, body, isWrite).catch(refuse);
  if (isWrite) refuseRepeating(answer);
  return relay(reply, answer);
}

/** @throws ReaderError for an answer that would have the client send its write again (protocol §1.4). */
function refuseRepeating({ statusCode, body }: UpstreamReply): void {
  if (!REPEAT_STATUSES.has(statusCode)) return;
  body.destroy();
  throw answerLost();
}

function refuse(error: unknown): never {
  if (error instanceof SiteAnswerLost) throw answerLost();
  if (error instanceof SiteUnavailable) throw siteAway('files');
  throw error;
}

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

/** A reply's bytes; none of those that cannot be unpacked: what was written is then known by its request alone. */
const readable = (answer: UpstreamReply, bytes: Buffer): Promise<Buffer> =>
  plainBytes(answer, bytes, REPLY_BYTES_MAX).catch(() => Buffer.alloc(0));

async function upload(
  parts: MediaParts,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const settle = settlingOf(parts, [], request.id);
  const body = bodyOf(request);
  const form = body === null ? null : withHead(body, FORM_HEAD_BYTES);
  const subjects = (text: string): ReturnType<typeof uploadSubjects> =>
    form === null ? [] : uploadSubjects(formFields(request.headers['content-type'] ?? '', form.head()), text);
  const fail = (why: string): FastifyReply => reply.type('text/plain').send(uploadFailure(why));
  let answer: UpstreamReply;
  let bytes: Buffer;
  try {
    answer = await sendOn(parts, request, reply, form?.stream ?? null, true);
    bytes = await bytesOf(answer);
  } catch (error) {
    if (error instanceof SiteUnavailable)
      return fail('Understudy: the site cannot be reached, nothing was uploaded');
    await settle(subjects(''), 'unknown');
    if (reply.raw.destroyed) throw new ClientGone();
    return fail('Understudy: the answer of the site was lost, the upload may have been done');
  }
  const text = (await readable(answer, bytes)).toString('latin1');
  // Whatever is not a clear refusal may have changed something.
  if (!text.startsWith('0')) await settle(subjects(text), text.startsWith('1') ? 'done' : 'unknown');
  if (answer.statusCode >= SERVER_ERROR)
    return fail(`Understudy: the site failed with HTTP ${answer.statusCode}`);
  return relay(reply, answer, bytes);
}

/** Of writes to another site nothing is kept here. */
function settlingOf(parts: MediaParts, requests: readonly WriteRequest[], requestId: string): Settle {
  return parts.settling === null ? async () => {} : beginSettling(parts.settling, requests, requestId);
}

async function rest(parts: MediaParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const body = bodyOf(request);
  if (parts.settling === null) return write(parts, request, reply, body);
  const types = typesConcerned(parts.settling.replica());
  // What changes is found out before it is done: the whole of a small body is had first.
  const content = body === null ? null : withHead(body, REST_HEAD_BYTES);
  const requests = (): ReturnType<typeof restWrites> =>
    restWrites(request.method, request.url, content?.head() ?? Buffer.alloc(0), types);
  if (isSchema(request.url)) {
    const answer = await sendOn(parts, request, reply, content?.stream ?? null, true).catch(async (error) => {
      if (!(error instanceof SiteUnavailable)) await parts.schemaChanged();
      return refuse(error);
    });
    if (answer.statusCode < 300 || answer.statusCode >= SERVER_ERROR) await parts.schemaChanged();
    refuseRepeating(answer);
    return relay(reply, answer);
  }
  if (restWrites(request.method, request.url, Buffer.alloc(0), types).length === 0 && !isBatch(request.url))
    return write(parts, request, reply, content?.stream ?? null);
  let answer: UpstreamReply;
  let bytes: Buffer;
  try {
    answer = await sendOn(parts, request, reply, content?.stream ?? null, true);
    bytes = await bytesOf(answer);
  } catch (error) {
    if (!(error instanceof SiteUnavailable)) await settleRest(parts, request, requests(), null);
    return refuse(error);
  }
  const isDone = answer.statusCode < 300;
  if (isDone || answer.statusCode >= SERVER_ERROR)
    await settleRest(parts, request, requests(), isDone ? await readable(answer, bytes) : null);
  refuseRepeating(answer);
  return relay(reply, answer, bytes);
}

/** Names of the types that are kept, of those that links of theirs lead to, and of the event log's. */
function typesConcerned(replica: Replica | null): readonly string[] {
  if (replica === null) return [];
  const names = new Set([...replica.schema.types.keys(), 'EventLogEntry']);
  for (const { fields } of replica.schema.types.values())
    for (const { validTypes } of fields.values()) for (const type of validTypes) names.add(type);
  return [...names];
}

const isSchema = (path: string): boolean => /^\/api\/v[0-9.]+\/schema(\/|\?|$)/.test(path);
const isBatch = (path: string): boolean => /\/entity\/_batch(\?|$)/.test(path);

async function settleRest(
  parts: MediaParts,
  request: FastifyRequest,
  requests: ReturnType<typeof restWrites>,
  reply: Buffer | null,
): Promise<void> {
  // The replica still has the links from before: nothing is merged until this settles it.
  const settle = settlingOf(parts, requests, request.id);
  await settle(restSubjects(requests, reply ?? Buffer.alloc(0)), reply === null ? 'unknown' : 'done');
}
