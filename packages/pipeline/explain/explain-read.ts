import { type CompiledRead, compileRead } from '@understudy/query/compile-read';
import { type CompiledSummarize, compileSummarize } from '@understudy/query/compile-summarize';
import { eventReach } from '@understudy/query/event-reach';
import { type PassThrough, passingThrough } from '@understudy/query/pass-through';
import type { QueryContext } from '@understudy/query/scope';
import { boundAt } from '@understudy/query/sql';
import { eventLogType } from '@understudy/schema/event-log-type';
import { parseSiteSchema } from '@understudy/schema/site-schema';
import { readColumnFrequencies } from '@understudy/store/column-frequencies';
import type { Database } from '@understudy/store/database';
import { heldFrom } from '@understudy/store/event-log';
import { loadSiteSchema } from '@understudy/store/site-schema';
import { readWatermark } from '@understudy/store/watermark';
import { readServable } from '../servable-schema.ts';

export type ExplainedMethod = 'read' | 'summarize';

/** What a reader would do with a call. */
export interface Explanation {
  readonly method: ExplainedMethod;
  readonly type: string | null;
  /** The generation whose fields are served; null before there is one. */
  readonly generation: number | null;
  /** Whether the replica can answer it. Credentials, and writes that are under way, are looked at by readers only. */
  readonly isAnswered: boolean;
  /** Why the site answers, as readers name it; null where the replica does. */
  readonly reason: string | null;
  readonly detail: string | null;
  readonly lagMs: number | null;
  /** What the replica would run, or null. */
  readonly statement: ExplainedStatement | null;
}

export interface ExplainedStatement {
  readonly sql: string;
  /** As they are bound now: `$1` first. */
  readonly params: readonly unknown[];
  /** PostgreSQL's plan, line by line. */
  readonly plan: readonly string[];
  /** Time of one run, milliseconds, and how many rows it gave. */
  readonly ms: number;
  readonly rows: number;
}

export interface ExplainOptions {
  readonly method: ExplainedMethod;
  readonly payload: unknown;
  readonly siteUrl: string;
  /** The generation to serve; 0: the one that is serving. */
  readonly generation: number;
  /** Staleness above which readers pass reads through. */
  readonly maxLagMs: number;
  /** Whether the plan is measured. */
  readonly analyze: boolean;
}

const STATEMENT_TIMEOUT_MS = 30_000;
const EVENT_LOG_ENTRY = 'EventLogEntry';

/** Compiles a call as a reader does, runs it once and says what came of it. Changes nothing. */
export async function explainRead(db: Database, options: ExplainOptions): Promise<Explanation> {
  const { method, payload } = options;
  const servable = await readServable(db, options.generation);
  const watermark = await readWatermark(db.pool);
  const lagMs = watermark?.lagMs ?? null;
  const type = typeOf(payload);
  const context = await contextOf(db, options, servable.schema, type);
  const compiled = method === 'read' ? compileRead(payload, context) : compileSummarize(payload, context);
  const base = { method, type, generation: servable.generation, lagMs };
  if ('passThrough' in compiled) return { ...base, ...refusal(compiled), statement: null };
  const statement = await runOnce(db, compiled, options.analyze);
  const doubt = await whyNot(db, options, { type, lagMs, hasMore: hasMore(compiled, statement) });
  return { ...base, ...refusal(doubt), statement };
}

function refusal(found: PassThrough | null): Pick<Explanation, 'isAnswered' | 'reason' | 'detail'> {
  return { isAnswered: found === null, reason: found?.passThrough ?? null, detail: found?.detail ?? null };
}

function typeOf(payload: unknown): string | null {
  if (typeof payload !== 'object' || payload === null || !Object.hasOwn(payload, 'type')) return null;
  const { type } = payload as { readonly type: unknown };
  return typeof type === 'string' ? type : null;
}

async function contextOf(
  db: Database,
  options: ExplainOptions,
  schema: QueryContext['schema'],
  type: string | null,
): Promise<QueryContext> {
  const types = new Map(schema.types);
  if (type === EVENT_LOG_ENTRY && options.method === 'read') {
    const copy = await loadSiteSchema(db.pool, options.siteUrl);
    const site =
      copy === null ? undefined : parseSiteSchema(JSON.parse(copy.schemaRead)).get(EVENT_LOG_ENTRY);
    if (site !== undefined) types.set(EVENT_LOG_ENTRY, eventLogType(site));
  }
  const frequencies = await readColumnFrequencies(db.pool);
  return { schema: { types }, servedTypes: new Set(types.keys()), frequencies };
}

function hasMore(compiled: CompiledRead | CompiledSummarize, statement: ExplainedStatement): boolean {
  return 'pageSize' in compiled && statement.rows > compiled.pageSize;
}

/** What readers find out besides what compiling does. */
async function whyNot(
  db: Database,
  { payload, maxLagMs }: ExplainOptions,
  seen: { readonly type: string | null; readonly lagMs: number | null; readonly hasMore: boolean },
): Promise<PassThrough | null> {
  if (seen.lagMs === null || seen.lagMs > maxLagMs)
    return passingThrough(
      'lag',
      seen.lagMs === null ? 'the event log was never polled' : `${Math.round(seen.lagMs)} ms`,
    );
  if (seen.type !== EVENT_LOG_ENTRY) return null;
  const { fromId, newestFirst } = eventReach(payload as Readonly<Record<string, unknown>>);
  const held = await heldFrom(db.pool);
  if (held !== null && fromId !== null && fromId >= held) return null;
  if (newestFirst && seen.hasMore) return null;
  return passingThrough('event not held', `the log is held from id ${held ?? 'none'} on`);
}

async function runOnce(
  db: Database,
  compiled: { readonly sql: string; readonly params: readonly unknown[] },
  analyze: boolean,
): Promise<ExplainedStatement> {
  const { sql } = compiled;
  const params = boundAt(compiled.params, new Date());
  const client = await db.pool.connect();
  try {
    await client.query('begin read only');
    await client.query(`set local statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
    const start = performance.now();
    const { rowCount } = await client.query(sql, params);
    const ms = performance.now() - start;
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `explain ${analyze ? '(analyze, buffers)' : ''} ${sql}`,
      params,
    );
    return { sql, params, plan: rows.map((row) => row['QUERY PLAN']), ms, rows: rowCount ?? 0 };
  } finally {
    await client.query('rollback').catch(() => {
      // The connection is gone; so is its transaction.
    });
    client.release();
  }
}
