import { setTimeout as delay } from 'node:timers/promises';
import { noticeSiteSchema } from '@understudy/pipeline/notice-site-schema';
import { onReplica } from '@understudy/pipeline/replica';
import { readSiteSchema } from '@understudy/pipeline/site-schema';
import { type PassThrough, passingThrough } from '@understudy/query/pass-through';
import { loop } from '@understudy/runtime/loop';
import type { CachedType } from '@understudy/schema/cached-schema';
import { eventLogType } from '@understudy/schema/event-log-type';
import { parseSiteSchema } from '@understudy/schema/site-schema';
import type { Queryable } from '@understudy/store/database';
import {
  claimSiteSchemaRenewal,
  loadSiteSchema,
  outdateSiteSchema,
  siteSchemaState,
} from '@understudy/store/site-schema';
import type { Answer, ApiCall } from './api-call.ts';
import { own } from './envelope.ts';
import { answerLocally, type LocalParts, type RunLocally } from './local-answer.ts';
import { ALL_READERS_KNOW_MS } from './replica-state.ts';
import { writeThrough } from './write.ts';

export type SchemaRead = 'schema_read' | 'schema_entity_read' | 'schema_field_read';

const SCHEMA_READS: ReadonlySet<string> = new Set(['schema_read', 'schema_entity_read', 'schema_field_read']);
const SCHEMA_WRITES: ReadonlySet<string> = new Set([
  'schema_field_create',
  'schema_field_update',
  'schema_field_delete',
]);

export const isSchemaRead = (method: string): method is SchemaRead => SCHEMA_READS.has(method);
export const isSchemaWrite = (method: string): boolean => SCHEMA_WRITES.has(method);

/** Age at which the copy is renewed though no event says that it changed: not every change makes one. */
const RENEW_AGE_MS = 5 * 60_000;
/** Age above which the copy is not served, unless the site is away: several renewals failed. */
const SERVE_AGE_MS_MAX = 4 * RENEW_AGE_MS;
const CLAIM_MS = 60_000;
const LOOK_MS = 1_000;
const EVENT_LOG_ENTRY = 'EventLogEntry';

type Descriptors = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Copy {
  readonly askedAt: number;
  readonly schemaRead: string;
  readonly schemaEntityRead: string;
  /** Parsed when a single type is first asked for. */
  types: Descriptors | null;
}

export interface SchemaMirror {
  /** Answers a read of the schema (protocol §5.8) from the replica's copy of what the site said. @throws as answerLocally */
  answer(call: ApiCall, method: SchemaRead): Promise<Answer>;
  /** Writes a change of the schema through. @throws ReaderError */
  write(call: ApiCall): Promise<Answer>;
  /**
   * To be called when the schema was changed: the copy is not served before it was renewed, and fields that are other
   * ones now are served by no reader once this returns. Never throws.
   */
  changed(): Promise<void>;
  /** EventLogEntry as the site describes it, while the copy is up to date; else null. */
  eventLog(): CachedType | null;
  /** Renews the copy when it needs it, one reader for all, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** Serves the site's schema from PostgreSQL; what was loaded is kept in memory as long as it is the newest copy. */
export function createSchemaMirror(options: {
  readonly local: LocalParts;
  readonly siteUrl: string;
}): SchemaMirror {
  const { local, siteUrl } = options;
  let copy: Copy | null = null;
  let eventLog: CachedType | null = null;

  const current = async (pool: Queryable): Promise<Copy | PassThrough> => {
    const state = await siteSchemaState(pool, siteUrl);
    if (state === null) return passingThrough('schema not stored');
    const askedAt = state.askedAt.getTime();
    const isOld = Date.now() - askedAt > SERVE_AGE_MS_MAX;
    if ((state.isStale || isOld) && !local.reach.isAway) return passingThrough('schema changed');
    if (copy === null || copy.askedAt !== askedAt) {
      const loaded = await loadSiteSchema(pool, siteUrl);
      if (loaded === null) return passingThrough('schema not stored');
      copy = { ...loaded, askedAt: loaded.askedAt.getTime(), types: null };
    }
    return copy;
  };

  const lookAtEventLog = async (pool: Queryable): Promise<void> => {
    const before = copy;
    const known = await current(pool);
    if ('passThrough' in known) eventLog = null;
    else if (known !== before || eventLog === null) eventLog = eventLogOf(known);
  };

  const changed = async (): Promise<void> => {
    const replica = local.replica();
    if (replica === null) return;
    try {
      await outdateSiteSchema(replica.db.pool);
      // A change a moment ago may have begun an epoch that this reader does not know yet.
      const changes = await onReplica(replica, ({ db, site }) => noticeSiteSchema({ db, site, siteUrl }));
      if (changes.length > 0)
        local.log.warn({ changes: changes.map((one) => one.message) }, 'the site’s schema was changed');
      // Also when nothing is new: somebody else may have found it a moment ago, and readers look now and then.
      await delay(ALL_READERS_KNOW_MS);
    } catch (error) {
      // The poller compares the schema as well, at the latest when it comes to the event.
      local.log.warn({ err: error }, 'what a change of the schema did is not known yet');
    }
  };

  return {
    eventLog: () => eventLog,
    answer: (call, method) =>
      answerLocally(local, call, (replica) => {
        const { payload } = call.envelope;
        // `locale: auto` asks for names in a language (protocol §1.1).
        if (call.headers['locale'] !== undefined) return passingThrough('schema of a language');
        const ask = questionOf(method, payload);
        if ('passThrough' in ask) return ask;
        const run: RunLocally = async () => {
          const known = await current(replica.db.pool);
          return 'passThrough' in known ? known : replyTo(ask, known);
        };
        return run;
      }),
    write: (call) => writeThrough(local, call, changed),
    changed,
    run: (signal) =>
      loop('renewing the copy of the site’s schema', { signal, log: local.log }, async () => {
        const replica = local.replica();
        if (replica === null || local.reach.isAway) return LOOK_MS;
        const { db, site } = replica;
        if (await claimSiteSchemaRenewal(db.pool, siteUrl, RENEW_AGE_MS, CLAIM_MS))
          await readSiteSchema({ db, site, siteUrl }, { priority: 'poll', signal });
        await lookAtEventLog(db.pool);
        return LOOK_MS;
      }),
  };
}

function typesOf(copy: Copy): Descriptors {
  copy.types ??= JSON.parse(copy.schemaRead) as Descriptors;
  return copy.types;
}

function eventLogOf(copy: Copy): CachedType | null {
  const types = typesOf(copy);
  if (!Object.hasOwn(types, EVENT_LOG_ENTRY)) return null;
  const fields = parseSiteSchema({ [EVENT_LOG_ENTRY]: types[EVENT_LOG_ENTRY] }).get(EVENT_LOG_ENTRY);
  return fields === undefined ? null : eventLogType(fields);
}

type Question =
  | { readonly of: 'schema' }
  | { readonly of: 'entities' }
  | { readonly of: 'fields'; readonly type: string; readonly field: string | null };

/** What a payload asks for, where the copy holds the answer; only `project` and the like change it. */
function questionOf(method: SchemaRead, payload: unknown): Question | PassThrough {
  const isAbsent = payload === undefined || payload === null;
  if (!isAbsent && (typeof payload !== 'object' || Array.isArray(payload)))
    return passingThrough('invalid read', 'payload');
  const given = (payload ?? {}) as Readonly<Record<string, unknown>>;
  const keys = Object.keys(given);
  if (method !== 'schema_field_read') {
    if (keys.length > 0) return passingThrough('schema of a project');
    return method === 'schema_read' ? { of: 'schema' } : { of: 'entities' };
  }
  if (keys.some((key) => key !== 'type' && key !== 'field_name'))
    return passingThrough('schema of a project');
  const type = own(given, 'type');
  const field = own(given, 'field_name');
  if (typeof type !== 'string' || (field !== undefined && typeof field !== 'string'))
    return passingThrough('invalid read', 'type and field_name');
  return { of: 'fields', type, field: field ?? null };
}

function replyTo(ask: Question, copy: Copy): string | PassThrough {
  if (ask.of === 'schema') return `{"results":${copy.schemaRead}}`;
  if (ask.of === 'entities') return `{"results":${copy.schemaEntityRead}}`;
  const types = typesOf(copy);
  // What the site does not have it refuses in its own words.
  if (!Object.hasOwn(types, ask.type)) return passingThrough('invalid read', ask.type);
  const fields = types[ask.type] ?? {};
  if (ask.field === null) return `{"results":${JSON.stringify(fields)}}`;
  if (!Object.hasOwn(fields, ask.field)) return passingThrough('invalid read', ask.field);
  return `{"results":${JSON.stringify({ [ask.field]: fields[ask.field] })}}`;
}
