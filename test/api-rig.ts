import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startReader } from '@understudy/api-reader/reader';
import type { EntityRow, Json } from '@understudy/domain/entity';
import { createTestDatabase } from '@understudy/harness/postgres';
import { program } from '@understudy/harness/programs';
import { until } from '@understudy/harness/until';
import { planFullScan } from '@understudy/pipeline/plan-scan';
import { prepareReplica, type Replica } from '@understudy/pipeline/replica';
import { loadConfig } from '@understudy/runtime/config/load';
import { parseSandboxYaml, type SandboxSchema } from '@understudy/sandbox-site/sandbox-schema';
import { type Sandbox, startSandboxSite } from '@understudy/sandbox-site/sandbox-site';
import { scanChunk } from '@understudy/scanner/scan-chunk';
import { cachedSchemaFrom } from '@understudy/schema/cacheable';
import { formatCachedSchema } from '@understudy/schema/cached-schema-file';
import { localBudget } from '@understudy/site-client/budget';
import { createSiteClient } from '@understudy/site-client/site-client';
import { openDatabase } from '@understudy/store/database';
import { claimChunk, openChunks } from '@understudy/store/scans';
import { advancePolled, initWatermark } from '@understudy/store/watermark';
import { type Logger, pino } from 'pino';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
export const SCRIPT = { script_name: 'pipeline', script_key: 'pipeline-key' };
export const USER = { user_login: '', user_password: 'sandbox' };

/** The YAML of the sandbox's own schema. */
export function sandboxSchemaText(): Promise<string> {
  return readFile(`${ROOT}schema/sandbox-site.yaml`, 'utf8');
}

/** A reply as it came. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: ReplyJson;
}

export interface ReplyJson {
  readonly exception?: boolean;
  readonly message?: string;
  readonly error_code?: number;
  readonly results?: Json;
  readonly [key: string]: unknown;
}

/** The rows of a reply to `read`. */
export function entitiesOf(reply: Reply): readonly EntityRow[] {
  const { results } = reply.json as { readonly results?: { readonly entities?: readonly EntityRow[] } };
  if (results?.entities === undefined) throw new Error(`no entities: ${reply.text}`);
  return results.entities;
}

/** Sends anything anywhere over HTTP/1.1, without the liberties that fetch takes. */
export function send(
  url: string,
  options: {
    readonly method?: string;
    readonly target?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Buffer;
  } = {},
): Promise<Reply> {
  const { hostname, port, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        hostname,
        port,
        path: options.target ?? pathname + search,
        method: options.method ?? 'GET',
        headers: options.headers,
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson = /json/.test(response.headers['content-type'] ?? '');
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: isJson ? JSON.parse(text) : {},
          });
        });
      },
    );
    request.on('error', reject);
    request.end(options.body);
  });
}

/** Calls the JSON API as a client does. */
export function call(
  url: string,
  method: string,
  payload?: unknown,
  auth: object | null = SCRIPT,
): Promise<Reply> {
  const params = [...(auth === null ? [] : [auth]), ...(payload === undefined ? [] : [payload])];
  return send(`${url}/api3/json`, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify({ method_name: method, params }),
  });
}

/** The payload of a read, as the official client builds it (protocol §3.1). */
export function readOf(
  type: string,
  fields: readonly string[],
  conditions: readonly (readonly [path: string, relation: string, ...values: unknown[]])[] = [],
  more: object = {},
): object {
  return {
    type,
    return_fields: fields,
    filters: {
      logical_operator: 'and',
      conditions: conditions.map(([path, relation, ...values]) => ({ path, relation, values })),
    },
    return_only: 'active',
    paging: { entities_per_page: 500, current_page: 1 },
    api_return_image_urls: true,
    return_paging_info_without_counts: true,
    ...more,
  };
}

export interface Api {
  readonly siteUrl: string;
  readonly readerUrl: string;
  readonly databaseUrl: string;
  readonly sandbox: Sandbox;
  readonly replica: Replica;
  readonly logged: readonly string[];
  /** Starts the understudy command over this replica and site. */
  startUnderstudy(...args: string[]): ChildProcessWithoutNullStreams;
  /** Runs it to its end. */
  understudy(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Sets how long ago the event log was last polled, and keeps it so. */
  polled(agoMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** A sandbox site of its own; all of them are the same. */
export async function startTestSite(
  options: { readonly schema?: SandboxSchema; readonly scale?: number } = {},
): ReturnType<typeof startSandboxSite> {
  return startSandboxSite({
    host: '127.0.0.1',
    port: 0,
    schema: options.schema ?? parseSandboxYaml(await sandboxSchemaText()),
    scale: options.scale ?? 300,
    seed: 7,
    writesPerSecond: 0,
    latencyMs: 0,
  });
}

/**
 * A reader over a scanned replica of a sandbox site, all in this process. Nobody follows the event log: what the
 * replica knows, it knows from the scan and from what the reader does.
 */
export async function startApi(
  options: {
    readonly env?: Readonly<Record<string, string>>;
    /** The site's schema, the sandbox's own unless told. */
    readonly schema?: SandboxSchema;
    /** Entities that the site is seeded with, about. */
    readonly scale?: number;
    /** Whether everything that can be cached of the site is, instead of the default schema. */
    readonly cacheAll?: boolean;
    /** Fills the site before it is scanned. */
    readonly fill?: (siteUrl: string) => Promise<void>;
  } = {},
): Promise<Api> {
  const opened = new AsyncDisposableStack();
  try {
    const api = await openApi(options, opened);
    const whole = opened.move();
    return { ...api, stop: () => whole.disposeAsync() };
  } catch (error) {
    // Else what was opened would keep the process of the test alive.
    await opened.disposeAsync();
    throw error;
  }
}

type ApiOptions = NonNullable<Parameters<typeof startApi>[0]>;

async function openApi(options: ApiOptions, opened: AsyncDisposableStack): Promise<Omit<Api, 'stop'>> {
  const database = await createTestDatabase();
  opened.defer(() => database.drop());
  const site = await startTestSite(options);
  opened.defer(() => site.close());
  const client = createSiteClient({
    url: site.url,
    credentials: { scriptName: 'understudy', scriptKey: 'sandbox-key' },
    budget: localBudget({ concurrency: 8 }),
    timeoutMs: 10_000,
  });
  opened.defer(() => client.close());
  const folder = await mkdtemp(join(tmpdir(), 'understudy-api-'));
  opened.defer(() => rm(folder, { recursive: true }));
  let schemaFile = `${ROOT}schema/default.yaml`;
  if (options.cacheAll === true) {
    schemaFile = join(folder, 'schema.yaml');
    const everything = cachedSchemaFrom(await client.schemaRead({ priority: 'poll' }));
    await writeFile(schemaFile, formatCachedSchema(everything));
  }
  const config = loadConfig({
    needs: ['site', 'database'],
    env: {
      UNDERSTUDY_SITE_URL: site.url,
      UNDERSTUDY_SITE_SCRIPT_NAME: 'understudy',
      UNDERSTUDY_SITE_SCRIPT_KEY: 'sandbox-key',
      UNDERSTUDY_SITE_TIMEOUT_MS: '3000',
      DATABASE_URL: database.url,
      UNDERSTUDY_SCHEMA_FILE: schemaFile,
      UNDERSTUDY_READER_PORT: '0',
      ...options.env,
    },
  });
  const databaseOptions = { url: database.url, poolSize: 5, applicationName: 'test' };
  const db = await openDatabase(databaseOptions);
  opened.defer(() => db.close());
  await options.fill?.(site.url);
  const replica = await prepareReplica({
    db,
    databaseOptions,
    site: client,
    siteUrl: config.site.url,
    schemaFile: config.schema.file,
  });
  await initWatermark(db.pool, 0);
  const types = [...replica.schema.types.keys()];
  await planFullScan(replica, { types, chunkSize: 100_000, reason: 'test' });
  for (const { id } of await openChunks(db.pool, 1_000)) {
    const chunk = await claimChunk(db.pool, id, 60_000);
    if (chunk !== null) await scanChunk(replica, chunk, { pageSize: 500, onPage: async () => {} });
  }
  let agoMs = 0;
  const polled = (): Promise<void> => advancePolled(db.pool, 0, new Date(Date.now() - agoMs));
  await polled();
  const polling = setInterval(() => {
    polled().catch(() => {
      // PostgreSQL is away in some tests.
    });
  }, 100);
  opened.defer(() => clearInterval(polling));
  const logged: string[] = [];
  const log: Logger = pino({ level: 'debug' }, { write: (line: string) => logged.push(line) });
  const reader = await startReader(config, log, () => {});
  const stopping = new AbortController();
  const running = reader.run(stopping.signal);
  opened.defer(async () => {
    stopping.abort();
    await running;
  });
  await until('the reader is ready', async () => (await send(`${reader.url}/readyz`)).status === 200);
  const startUnderstudy = (...args: string[]): ChildProcessWithoutNullStreams => {
    const [file, ...words] = program('packages/cli');
    return spawn(file, [...words, ...args], {
      cwd: ROOT,
      env: {
        ...process.env,
        DATABASE_URL: database.url,
        UNDERSTUDY_SITE_URL: site.url,
        UNDERSTUDY_SITE_SCRIPT_NAME: 'understudy',
        UNDERSTUDY_SITE_SCRIPT_KEY: 'sandbox-key',
      },
    });
  };
  return {
    siteUrl: site.url,
    readerUrl: reader.url,
    databaseUrl: database.url,
    sandbox: site.sandbox,
    replica,
    logged,
    startUnderstudy,
    understudy: async (...args) => {
      const child = startUnderstudy(...args);
      const output = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr'] as const) {
        child[name].setEncoding('utf8').on('data', (text: string) => {
          output[name] += text;
        });
      }
      const [code] = (await once(child, 'close')) as [number];
      return { code, ...output };
    },
    polled: async (ms) => {
      agoMs = ms;
      await polled();
    },
  };
}
