import type { CachedSchema } from '@understudy/schema/cached-schema';
import {
  cachedSchemaJson,
  parseCachedSchema,
  parseCachedSchemaJson,
} from '@understudy/schema/cached-schema-file';
import type { SiteSchema } from '@understudy/schema/site-schema';
import { type SiteSchemaDigest, siteSchemaFrom } from '@understudy/schema/site-schema-digest';
import type { Queryable } from './database.ts';

/** How far a generation of the cached schema has come. */
export type GenerationState = 'following' | 'scanning' | 'ready' | 'serving' | 'retired';

/** One version of the cached schema. */
export interface Generation {
  readonly id: number;
  readonly state: GenerationState;
  /** Where it came from: a file's name, or why it was made. */
  readonly source: string;
  /** As it was declared, fitted to nothing. */
  readonly declared: CachedSchema;
  /** What of it the site had when it was made, with the columns it is kept in. */
  readonly schema: CachedSchema;
  /** Whether it goes on by itself until it is served. */
  readonly isAutomatic: boolean;
  readonly createdAt: Date;
  readonly servingAt: Date | null;
  readonly retiredAt: Date | null;
  /** Since when its fields are stored no longer, unless another generation has them. */
  readonly releasedAt: Date | null;
  /** Since when its columns are gone. */
  readonly droppedAt: Date | null;
}

interface GenerationRow {
  readonly id: string;
  readonly state: GenerationState;
  readonly source: string;
  readonly declared: string;
  readonly schema: string;
  readonly automatic: boolean;
  readonly created_at: Date;
  readonly serving_at: Date | null;
  readonly retired_at: Date | null;
  readonly released_at: Date | null;
  readonly dropped_at: Date | null;
}

/** Texts of schemas that are remembered: those of the few generations that are kept at a time. */
const PARSED_MAX = 32;
const parsed = new Map<string, CachedSchema>();

/** The same object for the same text: every process looks at the generations each second, and parsing takes 40 ms. */
function schemaFrom(text: string): CachedSchema {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  // Generations of older versions are kept as YAML, which begins with a word.
  const schema = text.startsWith('{') ? parseCachedSchemaJson(text) : parseCachedSchema(text);
  const oldest = parsed.keys().next();
  if (parsed.size >= PARSED_MAX && oldest.done !== true) parsed.delete(oldest.value);
  parsed.set(text, schema);
  return schema;
}

function generationFrom(row: GenerationRow): Generation {
  return {
    id: Number(row.id),
    state: row.state,
    source: row.source,
    declared: schemaFrom(row.declared),
    schema: schemaFrom(row.schema),
    isAutomatic: row.automatic,
    createdAt: row.created_at,
    servingAt: row.serving_at,
    retiredAt: row.retired_at,
    releasedAt: row.released_at,
    droppedAt: row.dropped_at,
  };
}

/** Generations whose columns may exist, newest first; `all` for those whose columns are gone as well. */
export async function readGenerations(
  q: Queryable,
  which: 'kept' | 'all' = 'kept',
): Promise<readonly Generation[]> {
  const { rows } = await q.query<GenerationRow>(
    `select id, state, source, declared, schema, automatic, created_at, serving_at, retired_at, released_at, dropped_at
     from understudy.generation ${which === 'kept' ? 'where dropped_at is null' : ''} order by id desc`,
  );
  return rows.map(generationFrom);
}

/** Records a generation that is followed from now on. @returns its id. */
export async function insertGeneration(
  tx: Queryable,
  generation: Pick<Generation, 'source' | 'declared' | 'schema' | 'isAutomatic'>,
): Promise<number> {
  const { rows } = await tx.query<{ id: string }>(
    `insert into understudy.generation (state, source, declared, schema, automatic)
     values ('following', $1, $2, $3, $4) returning id`,
    [
      generation.source,
      cachedSchemaJson(generation.declared),
      cachedSchemaJson(generation.schema),
      generation.isAutomatic,
    ],
  );
  return Number(rows[0]?.id);
}

const TIME_COLUMNS: Readonly<Record<GenerationState, string | null>> = {
  following: null,
  scanning: 'scanning_at',
  ready: 'ready_at',
  serving: 'serving_at',
  retired: 'retired_at',
};

/** Moves a generation on, if it is still in one of the states given. @returns whether it was. */
export async function setGenerationState(
  tx: Queryable,
  id: number,
  from: readonly GenerationState[],
  to: GenerationState,
): Promise<boolean> {
  const column = TIME_COLUMNS[to];
  const { rowCount } = await tx.query(
    `update understudy.generation set state = $3${column === null ? '' : `, ${column} = now()`}
       ${to === 'serving' ? ', retired_at = null' : ''}
     where id = $1 and state = any($2::text[]) and released_at is null`,
    [id, from, to],
  );
  return rowCount === 1;
}

/** What the site's schema was when it was last read, and the readings of the schema's clocks. */
export interface SchemaState {
  /** Greater after each change of what is followed. */
  readonly epoch: number;
  /** Greater after each change of what may be served. */
  readonly version: number;
  readonly siteUrl: string;
  readonly siteSchema: SiteSchema;
  readonly digest: SiteSchemaDigest;
  readonly readAt: Date;
}

interface StateRow {
  readonly epoch: string;
  readonly version: string;
  readonly site_url: string;
  readonly site_schema: SiteSchemaDigest;
  readonly read_at: Date;
}

/** @returns null before the replica was first prepared. */
export async function readSchemaState(q: Queryable): Promise<SchemaState | null> {
  const { rows } = await q.query<StateRow>(
    'select epoch, version, site_url, site_schema, read_at from understudy.schema_state',
  );
  const [row] = rows;
  if (row === undefined) return null;
  return {
    epoch: Number(row.epoch),
    version: Number(row.version),
    siteUrl: row.site_url,
    siteSchema: siteSchemaFrom(row.site_schema),
    digest: row.site_schema,
    readAt: row.read_at,
  };
}

/** Greater after each change of what may be served; 0 before the replica was first prepared. */
export async function readVersion(q: Queryable): Promise<number> {
  const { rows } = await q.query<{ version: string }>({
    name: 'read-schema-version',
    text: 'select version from understudy.schema_state',
  });
  return Number(rows[0]?.version ?? 0);
}

/** Records the site's schema and that another epoch begins. @returns the epoch. */
export async function beginEpoch(
  tx: Queryable,
  site: Pick<SchemaState, 'siteUrl' | 'digest' | 'readAt'>,
): Promise<number> {
  const { rows } = await tx.query<{ epoch: string }>(
    `insert into understudy.schema_state as s (epoch, version, site_url, site_schema, read_at) values (1, 1, $1, $2, $3)
     on conflict (single) do update set epoch = s.epoch + 1, version = s.version + 1, site_url = excluded.site_url,
       site_schema = excluded.site_schema, read_at = excluded.read_at, changed_at = now() returning epoch`,
    [site.siteUrl, JSON.stringify(site.digest), site.readAt],
  );
  return Number(rows[0]?.epoch);
}
