import { type EntityRow, isEntityRef, type Json } from '@understudy/domain/entity';
import { parseSiteSchema, type SiteSchema } from '@understudy/schema/site-schema';
import pRetry from 'p-retry';
import type { Priority, RequestBudget } from './budget.ts';
import { faultFrom, SiteProtocolError, SiteUnavailable } from './faults.ts';
import { and, type FilterGroup, type FilterLeaf, leaf } from './filters.ts';
import { outcomeOf, type RequestOutcome } from './request-outcome.ts';
import { createTransport } from './transport.ts';

/** Who the client is to the site (protocol §1.2). */
export type Credentials =
  | { readonly scriptName: string; readonly scriptKey: string }
  | { readonly userLogin: string; readonly userPassword: string }
  | { readonly sessionToken: string };

/** The auth object as it travels. */
export type WireAuth = Readonly<Record<string, Json>>;

export interface SiteAnswer<T> {
  readonly results: T;
  /** The site's clock when it answered (HTTP Date, which has no fraction of a second). */
  readonly siteTime: Date;
}

export interface CallOptions {
  readonly priority: Priority;
  readonly signal?: AbortSignal;
  /** Another identity than the client's own. */
  readonly auth?: WireAuth;
  /** Travels as `x-request-id`, so that a request can be followed into the site's or a proxy's log. */
  readonly requestId?: string;
}

export interface ReadRequest {
  readonly type: string;
  readonly fields: readonly string[];
  readonly filters?: FilterGroup;
  readonly returnOnly?: 'active' | 'retired';
  readonly sorts?: readonly { readonly field_name: string; readonly direction: 'asc' | 'desc' }[];
  readonly pageSize?: number;
  readonly page?: number;
}

export interface ReadByIdRequest extends Omit<ReadRequest, 'sorts' | 'page'> {
  /** First id, inclusive. */
  readonly fromId?: number;
  /** Last id, inclusive. */
  readonly toId?: number;
}

export interface SiteClient {
  /** The site's `info` (protocol §2); sends no credentials. */
  info(options: CallOptions): Promise<Readonly<Record<string, Json>>>;
  /**
   * Calls any method (protocol §1.1, §5). Reads are tried again while the site is away; writes are sent once.
   * @throws SiteFault, AuthenticationFault, SiteUnavailable, SiteAnswerLost (writes only), SiteProtocolError, or the
   *   signal's reason (of a write only as long as it was not sent).
   */
  call(method: string, payload: Json | undefined, options: CallOptions): Promise<SiteAnswer<Json>>;
  /**
   * One page of `read` (protocol §3), of 500 rows unless told.
   * @returns the rows, and whether the site has more; where the site does not say, there may be more after any row.
   */
  read(
    request: ReadRequest,
    options: CallOptions,
  ): Promise<SiteAnswer<readonly EntityRow[]> & { readonly hasNextPage: boolean }>;
  /**
   * Every matching row, in pages by ascending id, each with its own site time. Each page asks for ids above the last
   * one seen, so rows that come or go meanwhile shift nothing. The last page may be empty.
   */
  readAllById(
    request: ReadByIdRequest,
    options: CallOptions,
  ): AsyncGenerator<SiteAnswer<readonly EntityRow[]>>;
  /** The site's schema (protocol §5.8). @throws SiteSchemaError when it is not of that shape. */
  schemaRead(options: CallOptions): Promise<SiteSchema>;
  /** Waits for the requests under way. */
  close(): Promise<void>;
}

/** Methods that change nothing (protocol §5): only these are ever sent twice. */
const READ_METHODS: ReadonlySet<string> = new Set([
  'info',
  'read',
  'summarize',
  'schema_read',
  'schema_entity_read',
  'schema_field_read',
  'query_display_name_cache',
  'activity_stream',
  'note_thread_contents',
  'followers',
  'following',
  'work_schedule_read',
  'preferences_read',
  'user_subscriptions_read',
  'nav_expand',
  'nav_search',
]);

const DEFAULT_PAGE_SIZE = 500;
const RETRIES = 3;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 4_000;
const DEFAULT_CONNECTIONS = 32;
/** Far above any page of rows: a guard of our memory. */
const DEFAULT_RESPONSE_BYTES_MAX = 256 * 1024 * 1024;

/** Where the client tells what it does; a pino logger is one. It is never given credentials or payloads. */
export interface SiteClientLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** What became of one request; a read that was tried again is several. */
export interface SiteRequest {
  readonly method: string;
  readonly priority: Priority;
  readonly outcome: RequestOutcome;
  /** Until there was a place in the budget. */
  readonly waitedMs: number;
  /** From then to the answer's end. */
  readonly tookMs: number;
}

export interface SiteClientOptions {
  /** `https://studio.example.com`; `user:password@` in it is for a proxy in between (protocol §1.1). */
  readonly url: string;
  readonly credentials: Credentials;
  /** Asked for a place before each request; a request that is tried again asks again. */
  readonly budget: RequestBudget;
  /** For one request, from its first byte to the answer's last; waiting for a place does not count. */
  readonly timeoutMs: number;
  /** Connections at once, 32 unless told; the budget is the limit that is meant to be felt. */
  readonly connections?: number;
  readonly userAgent?: string;
  /** How often a read is tried again, 3 times unless told. */
  readonly retries?: number;
  /** The longest answer read, 256 MiB unless told. */
  readonly responseBytesMax?: number;
  readonly log?: SiteClientLog;
  /** Told of each request at its end, for instance to count it. */
  readonly onRequest?: (request: SiteRequest) => void;
}

/** @returns whether a method only reads, so that it may be repeated. */
export function isReadMethod(method: string): boolean {
  return READ_METHODS.has(method);
}

function wireAuth(credentials: Credentials): WireAuth {
  if ('scriptName' in credentials)
    return { script_name: credentials.scriptName, script_key: credentials.scriptKey };
  if ('userLogin' in credentials)
    return { user_login: credentials.userLogin, user_password: credentials.userPassword };
  return { session_token: credentials.sessionToken, reject_if_expired: true };
}

/** The official client leaves out a payload that is null or empty (protocol §1.1). */
function isNothing(payload: Json | undefined): boolean {
  return payload == null || (typeof payload === 'object' && Object.keys(payload).length === 0);
}

/** The `results` of an envelope, or the whole reply where there is none (protocol §1.3). @throws SiteFault */
function unwrap(reply: unknown): Json {
  if (typeof reply !== 'object' || reply === null || Array.isArray(reply)) return reply as Json;
  const envelope = reply as {
    exception?: unknown;
    message?: unknown;
    error_code?: unknown;
    results?: unknown;
  };
  if (envelope.exception) throw faultFrom(envelope.message, envelope.error_code);
  return ('results' in envelope ? envelope.results : reply) as Json;
}

/** A typed client of a site's JSON API, good for many concurrent callers. @throws TypeError when the url is none. */
export function createSiteClient(options: SiteClientOptions): SiteClient {
  const { budget } = options;
  const transport = createTransport({
    url: options.url,
    timeoutMs: options.timeoutMs,
    connections: options.connections ?? DEFAULT_CONNECTIONS,
    userAgent: options.userAgent ?? 'understudy',
    responseBytesMax: options.responseBytesMax ?? DEFAULT_RESPONSE_BYTES_MAX,
  });
  const ownAuth = wireAuth(options.credentials);

  const once = async (
    method: string,
    payload: Json | undefined,
    call: CallOptions,
  ): Promise<SiteAnswer<Json>> => {
    const params = method === 'info' ? [] : [call.auth ?? ownAuth, ...(isNothing(payload) ? [] : [payload])];
    const { priority } = call;
    const askedAt = performance.now();
    const place = await budget.acquire(priority, call.signal);
    const startedAt = performance.now();
    const tell = (outcome: RequestOutcome): void =>
      options.onRequest?.({
        method,
        priority,
        outcome,
        waitedMs: startedAt - askedAt,
        tookMs: performance.now() - startedAt,
      });
    try {
      const { reply, siteTime } = await transport.send(JSON.stringify({ method_name: method, params }), {
        isWrite: !isReadMethod(method),
        signal: call.signal,
        requestId: call.requestId,
      });
      const results = unwrap(reply);
      tell('answered');
      return { results, siteTime };
    } catch (error) {
      tell(outcomeOf(error));
      throw error;
    } finally {
      place.release();
    }
  };

  const call: SiteClient['call'] = (method, payload, callOptions) => {
    if (!isReadMethod(method)) return once(method, payload, callOptions);
    return pRetry(() => once(method, payload, callOptions), {
      retries: options.retries ?? RETRIES,
      minTimeout: FIRST_RETRY_MS,
      maxTimeout: LONGEST_RETRY_MS,
      randomize: true,
      shouldRetry: ({ error }) => error instanceof SiteUnavailable,
      onFailedAttempt: ({ error, attemptNumber, retriesLeft }) => {
        if (!(error instanceof SiteUnavailable) || retriesLeft === 0) return;
        const { priority, requestId } = callOptions;
        const fields = { method, priority, requestId, attempt: attemptNumber, reason: error.message };
        options.log?.warn(fields, 'the site did not answer a read, trying again');
      },
      ...(callOptions.signal === undefined ? {} : { signal: callOptions.signal }),
    });
  };

  const read: SiteClient['read'] = async (request, callOptions) => {
    const payload = {
      type: request.type,
      return_fields: [...request.fields],
      filters: (request.filters ?? and()) as unknown as Json,
      return_only: request.returnOnly ?? 'active',
      paging: { entities_per_page: request.pageSize ?? DEFAULT_PAGE_SIZE, current_page: request.page ?? 1 },
      api_return_image_urls: true,
      return_paging_info_without_counts: true,
      ...(request.sorts === undefined ? {} : { sorts: request.sorts as unknown as Json }),
    };
    const { results, siteTime } = await call('read', payload, callOptions);
    const reply = results as { entities?: unknown; paging_info?: { has_next_page?: unknown } } | null;
    const rows: unknown = reply?.entities;
    if (!Array.isArray(rows) || !rows.every(isEntityRef))
      throw new SiteProtocolError(`read of ${request.type} gave no list of entities`);
    const flag = reply?.paging_info?.has_next_page;
    const hasNextPage = typeof flag === 'boolean' ? flag : rows.length > 0;
    return { results: rows as EntityRow[], siteTime, hasNextPage };
  };

  async function* readAllById(
    request: ReadByIdRequest,
    callOptions: CallOptions,
  ): AsyncGenerator<SiteAnswer<readonly EntityRow[]>> {
    const pageSize = request.pageSize ?? DEFAULT_PAGE_SIZE;
    let last = (request.fromId ?? 1) - 1;
    for (;;) {
      const conditions: (FilterLeaf | FilterGroup)[] = [leaf('id', 'greater_than', last)];
      if (request.toId !== undefined) conditions.push(leaf('id', 'less_than', request.toId + 1));
      if (request.filters !== undefined) conditions.push(request.filters);
      const page = await read(
        {
          type: request.type,
          fields: request.fields,
          filters: and(...conditions),
          returnOnly: request.returnOnly ?? 'active',
          sorts: [{ field_name: 'id', direction: 'asc' }],
          pageSize,
        },
        callOptions,
      );
      for (const row of page.results) {
        // Else a page could step over rows, which would then pass for vanished.
        if (row.id <= last) throw new SiteProtocolError(`read of ${request.type} is not in order of ids`);
        last = row.id;
      }
      yield { results: page.results, siteTime: page.siteTime };
      // A page shorter than asked is not the last one: the site may allow less than that.
      if (!page.hasNextPage || page.results.length === 0) return;
    }
  }

  return {
    info: async (callOptions) => (await call('info', undefined, callOptions)).results as Record<string, Json>,
    call,
    read,
    readAllById,
    schemaRead: async (callOptions) =>
      parseSiteSchema((await call('schema_read', undefined, callOptions)).results),
    close: () => transport.close(),
  };
}
