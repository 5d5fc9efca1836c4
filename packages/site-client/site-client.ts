import type { EntityRow, Json } from '@understudy/domain/entity';
import { parseSiteSchema, type SiteSchema } from '@understudy/schema/site-schema';
import pRetry from 'p-retry';
import type { Priority, RequestBudget } from './budget.ts';
import { faultFrom, SiteProtocolError, SiteUnavailable } from './faults.ts';
import { and, type FilterGroup, type FilterLeaf, leaf } from './filters.ts';
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
  /** The site's clock when it answered (HTTP Date, to the second). */
  readonly siteTime: Date;
}

export interface CallOptions {
  readonly priority: Priority;
  readonly signal?: AbortSignal;
  /** Another identity than the client's own. */
  readonly auth?: WireAuth;
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
  /** The site's `info` (protocol §2); asks for no credentials. */
  info(options: CallOptions): Promise<Readonly<Record<string, Json>>>;
  /**
   * Calls any method. Reads are tried again while the site is away; writes are sent once.
   * @throws SiteFault, AuthenticationFault, SiteUnavailable, SiteAnswerLost (writes only), SiteProtocolError.
   */
  call(method: string, payload: Json | undefined, options: CallOptions): Promise<SiteAnswer<Json>>;
  read(
    request: ReadRequest,
    options: CallOptions,
  ): Promise<SiteAnswer<readonly EntityRow[]> & { readonly hasNextPage: boolean }>;
  /** Every matching row, in pages by ascending id, each with its own site time. Stable while rows come and go. */
  readAllById(
    request: ReadByIdRequest,
    options: CallOptions,
  ): AsyncGenerator<SiteAnswer<readonly EntityRow[]>>;
  schemaRead(options: CallOptions): Promise<SiteSchema>;
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
]);

const DEFAULT_PAGE_SIZE = 500;
const RETRIES = 3;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 4_000;

export interface SiteClientOptions {
  /** Without a path: `https://studio.example.com`. */
  readonly url: string;
  readonly credentials: Credentials;
  readonly budget: RequestBudget;
  readonly timeoutMs: number;
  /** Sockets at once. */
  readonly connections?: number;
  readonly userAgent?: string;
  readonly retries?: number;
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
  return { session_token: credentials.sessionToken };
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

/** A typed client of a site's JSON API, good for many concurrent callers. */
export function createSiteClient(options: SiteClientOptions): SiteClient {
  const { budget } = options;
  const transport = createTransport({
    url: options.url,
    timeoutMs: options.timeoutMs,
    connections: options.connections ?? 32,
    userAgent: options.userAgent ?? 'understudy',
  });
  const ownAuth = wireAuth(options.credentials);

  const once = async (
    method: string,
    payload: Json | undefined,
    call: CallOptions,
  ): Promise<SiteAnswer<Json>> => {
    const params =
      method === 'info' ? [] : [call.auth ?? ownAuth, ...(payload === undefined ? [] : [payload])];
    const place = await budget.acquire(call.priority, call.signal);
    try {
      const { reply, siteTime } = await transport.send(JSON.stringify({ method_name: method, params }), {
        isWrite: !isReadMethod(method),
        signal: call.signal,
        requestId: call.requestId,
      });
      return { results: unwrap(reply), siteTime };
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
    if (reply === null || !Array.isArray(reply.entities))
      throw new SiteProtocolError('read gave no entities');
    return {
      results: reply.entities as EntityRow[],
      siteTime,
      hasNextPage: reply.paging_info?.has_next_page === true,
    };
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
      yield { results: page.results, siteTime: page.siteTime };
      const highest = page.results.at(-1)?.id;
      if (highest === undefined || page.results.length < pageSize) return;
      if (highest <= last)
        throw new SiteProtocolError(`read of ${request.type} did not advance past id ${last}`);
      last = highest;
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
