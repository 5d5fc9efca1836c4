import { readFile } from 'node:fs/promises';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseSandboxYaml } from './sandbox-schema.ts';
import { type Sandbox, type SandboxOptions, type SandboxSite, startSandboxSite } from './sandbox-site.ts';

const SCHEMA = fileURLToPath(new URL('../../schema/sandbox-site.yaml', import.meta.url));
export const SCRIPT = { script_name: 'pipeline', script_key: 'pipeline-key' };

/** A fault as the site sent it. */
export class Fault extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

type Condition = readonly [path: string, relation: string, ...values: unknown[]];

/** A row of a reply, loosely typed: tests look at it. */
export interface Row {
  readonly id: number;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked at freely in tests
  readonly [field: string]: any;
}

/** A sandbox site and how tests talk to it: over HTTP, as anybody does. */
export class TestSite {
  readonly url: string;
  readonly sandbox: Sandbox;
  readonly putAside: string | null;
  readonly #site: SandboxSite;
  #isClosed = false;

  constructor(site: SandboxSite) {
    this.url = site.url;
    this.sandbox = site.sandbox;
    this.putAside = site.putAside;
    this.#site = site;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#site.close();
  }

  /** Calls the JSON API. @returns its results. @throws Fault */
  // biome-ignore lint/suspicious/noExplicitAny: replies are looked at freely in tests
  async call(method: string, payload?: unknown, auth: object | null = SCRIPT): Promise<any> {
    const params = [...(auth === null ? [] : [auth]), ...(payload === undefined ? [] : [payload])];
    const reply = await fetch(`${this.url}/api3/json`, {
      method: 'POST',
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify({ method_name: method, params }),
    });
    if (!reply.ok) throw new Error(`HTTP ${reply.status}: ${await reply.text()}`);
    const body = (await reply.json()) as Record<string, unknown>;
    if (body['exception'] === true) throw new Fault(Number(body['error_code']), String(body['message']));
    return 'results' in body ? body['results'] : body;
  }

  /** Up to 500 rows, as the official client's find asks for them. */
  async find(
    type: string,
    conditions: readonly Condition[],
    fields: readonly string[] = ['id'],
    more: object = {},
    auth: object = SCRIPT,
  ): Promise<Row[]> {
    const { entities } = await this.call(
      'read',
      {
        type,
        return_fields: fields,
        filters: filtersOf(conditions),
        return_only: 'active',
        paging: { entities_per_page: 500, current_page: 1 },
        api_return_image_urls: true,
        return_paging_info_without_counts: true,
        ...more,
      },
      auth,
    );
    return entities;
  }

  async first(
    type: string,
    conditions: readonly Condition[],
    fields: readonly string[] = ['id'],
  ): Promise<Row> {
    const [row] = await this.find(type, conditions, fields);
    if (row === undefined) throw new Error(`no ${type} fits`);
    return row;
  }

  create(type: string, values: object, auth: object = SCRIPT): Promise<Row> {
    return this.call('create', { type, fields: fieldItems(values), return_fields: ['id'] }, auth);
  }

  update(type: string, id: number, values: object, auth: object = SCRIPT): Promise<Row> {
    return this.call('update', { type, id, fields: fieldItems(values) }, auth);
  }

  /** Id of the newest event. */
  async lastEventId(): Promise<number> {
    const [newest] = await this.find('EventLogEntry', [], ['id'], {
      sorts: [{ field_name: 'id', direction: 'desc' }],
      paging: { entities_per_page: 1, current_page: 1 },
    });
    return newest?.id ?? 0;
  }

  /** Events above an id. */
  events(afterId: number): Promise<Row[]> {
    const fields = [
      'event_type',
      'attribute_name',
      'entity',
      'project',
      'user',
      'meta',
      'session_uuid',
      'created_at',
    ];
    return this.find('EventLogEntry', [['id', 'greater_than', afterId]], fields);
  }

  /** Calls an admin endpoint. */
  async admin(path: string, body: object): Promise<unknown> {
    const reply = await fetch(`${this.url}/_sandbox${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!reply.ok) throw new Error(`HTTP ${reply.status}: ${await reply.text()}`);
    return reply.json();
  }
}

export function filtersOf(conditions: readonly Condition[]): object {
  return {
    logical_operator: 'and',
    conditions: conditions.map(([path, relation, ...values]) => ({ path, relation, values })),
  };
}

export function fieldItems(values: object): object[] {
  return Object.entries(values).map(([field_name, value]) => ({ field_name, value }));
}

/** Starts a site for the tests of one file, and stops it after them. */
export async function startTestSite(options: Partial<SandboxOptions> = {}): Promise<TestSite> {
  const site = await startSandboxSite({
    host: '127.0.0.1',
    port: 0,
    schema: parseSandboxYaml(await readFile(SCHEMA, 'utf8')),
    scale: 200,
    seed: 7,
    writesPerSecond: 0,
    latencyMs: 0,
    ...options,
  });
  const tested = new TestSite(site);
  after(() => tested.close());
  return tested;
}
