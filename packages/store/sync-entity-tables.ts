import { MikroORM } from '@mikro-orm/postgresql';
import type { CachedSchema, CachedType } from '@understudy/schema/cached-schema';
import pRetry from 'p-retry';
import { missingChangeMarks } from './change-marks.ts';
import { type Database, type DatabaseOptions, ormOptions } from './database.ts';
import { type EntityTable, entitySchemas, entityTable, supersededIndexes, unquote } from './entity-tables.ts';
import { underMigrationLock } from './migrate.ts';

/**
 * A new column waits for reads and writes under way, and those that come later wait behind it: never for long, and with pauses
 * in which they go on. It is tried for about ten minutes: reports may read a table for long.
 */
const LOCK_TIMEOUT_MS = 300;
const LOCK_ATTEMPTS = { retries: 60, minTimeout: 500, maxTimeout: 10_000, factor: 1.5 };
const LOCK_NOT_AVAILABLE = '55P03';
/**
 * Part of each page, in percent, that is filled with new rows: a changed row finds room beside the old one, and then no
 * index changes. Neighbours are often changed together, and none of their old rows makes room before that is committed.
 */
const FILL_FACTOR = 70;
const CREATE_TABLE = /^\s*create table "site"\."([^"]+)"/;
const CREATE_INDEX = /^\s*create index "([^"]+)" on "?site"?\."([^"]+)"/;

/** What there is of the entity tables. */
interface Existing {
  /** Columns by table. */
  readonly tables: ReadonlyMap<string, ReadonlySet<string>>;
  /** Tables that keep room for changed rows in each page. */
  readonly roomy: ReadonlySet<string>;
  /** Whether they are finished, by name. */
  readonly indexes: ReadonlyMap<string, boolean>;
}

async function existing(db: Database): Promise<Existing> {
  const columns = await db.pool.query<{ name: string; columns: readonly string[]; roomy: boolean | null }>(
    `select c.relname as name, array_agg(a.attname::text) as columns,
       'fillfactor=${FILL_FACTOR}' = any(c.reloptions) as roomy from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'site'::regnamespace and c.relkind in ('r', 'p') group by 1, 3`,
  );
  const indexes = await db.pool.query<{ name: string; valid: boolean }>(
    `select c.relname as name, i.indisvalid as valid from pg_class c join pg_index i on i.indexrelid = c.oid
     where c.relnamespace = 'site'::regnamespace`,
  );
  return {
    tables: new Map(columns.rows.map((row) => [row.name, new Set(row.columns)])),
    roomy: new Set(columns.rows.filter((row) => row.roomy === true).map((row) => row.name)),
    indexes: new Map(indexes.rows.map((row) => [row.name, row.valid])),
  };
}

/** The columns of a table's fields, with their types. */
function fieldColumns(table: EntityTable): readonly (readonly [name: string, sqlType: string])[] {
  return [...table.fields.values()].flatMap((storage) => {
    if (storage.kind === 'column') return [[storage.column, storage.sqlType]] as const;
    if (storage.kind === 'link')
      return [
        [storage.typeColumn, 'text'],
        [storage.idColumn, 'bigint'],
      ] as const;
    return [];
  });
}

/** Whether every table, column and finished index of these types is there already. */
function isComplete(types: readonly CachedType[], { tables, roomy, indexes }: Existing): boolean {
  return types.every((type) => {
    const table = entityTable(type);
    const name = unquote(table.sqlName);
    const columns = tables.get(name);
    return (
      roomy.has(name) &&
      fieldColumns(table).every(([name]) => columns?.has(unquote(name))) &&
      entitySchemas(type).every(
        ({ meta }) =>
          tables.has(meta.tableName) && meta.indexes.every(({ name }) => indexes.get(name ?? '') === true),
      )
    );
  });
}

/** Gives way to the traffic and tries again. */
async function runBriefly(db: Database, statement: string): Promise<void> {
  const run = (): Promise<void> =>
    db.transaction(async (tx) => {
      await tx.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
      await tx.query(statement);
    });
  await pRetry(run, {
    ...LOCK_ATTEMPTS,
    shouldRetry: ({ error }) => (error as { code?: string }).code === LOCK_NOT_AVAILABLE,
  });
}

/**
 * Makes the tables, columns and indexes that a cached schema needs and the database lacks, while everybody works on:
 * a column is added empty, which rewrites nothing, and an index of a table that exists is built beside the traffic.
 * Nothing is dropped (but an index of an older release), renamed or rewritten. Safe to call from every process at start, and again after a crash.
 */
export async function syncEntityTables(
  db: Database,
  options: DatabaseOptions,
  schema: CachedSchema,
): Promise<void> {
  const types = [...schema.types.values()];
  const missingMarks = (): Promise<readonly string[]> => missingChangeMarks(db.pool, types.map(entityTable));
  // So it is at nearly every start, and having MikroORM describe the tables takes a third of a second.
  if (isComplete(types, await existing(db)) && (await missingMarks()).length === 0) return;
  // MikroORM describes the tables. Its comparison with what exists would take a column that went and one that came for
  // one that was renamed; so what is missing is found here.
  const orm = new MikroORM({
    ...ormOptions({ ...options, poolSize: 1 }),
    entities: types.flatMap(entitySchemas),
    schemaGenerator: { disableForeignKeys: false },
  } as never) as MikroORM;
  const statements = await orm.schema
    .getCreateSchemaSQL()
    .then((sql) => sql.split(/;\n/))
    .finally(() => orm.close(true));
  await underMigrationLock(db, async () => {
    const { tables, indexes } = await existing(db);
    for (const statement of statements) {
      const name = CREATE_TABLE.exec(statement)?.[1];
      if (name !== undefined && !tables.has(name)) await db.pool.query(statement);
    }
    for (const type of types) {
      const table = entityTable(type);
      const columns = tables.get(unquote(table.sqlName));
      if (columns === undefined) continue;
      const missing = fieldColumns(table).filter(([name]) => !columns.has(unquote(name)));
      if (missing.length === 0) continue;
      const added = missing.map(([name, sqlType]) => `add column if not exists ${name} ${sqlType}`);
      await runBriefly(db, `alter table ${table.sqlName} ${added.join(', ')}`);
    }
    for (const statement of statements) {
      const [, index, table] = CREATE_INDEX.exec(statement) ?? [];
      if (index === undefined || table === undefined || indexes.get(index) === true) continue;
      // One that was begun and not finished is of no use, and in the way.
      if (indexes.has(index)) await db.pool.query(`drop index concurrently if exists site."${index}"`);
      const beside = tables.has(table) ? 'concurrently ' : '';
      await db.pool.query(statement.replace(/create index /, `create index ${beside}`));
    }
    const made = await existing(db);
    for (const type of types) {
      const table = entityTable(type);
      const { sqlName } = table;
      const name = unquote(sqlName);
      if (made.tables.has(name) && !made.roomy.has(name))
        await runBriefly(db, `alter table ${sqlName} set (fillfactor = ${FILL_FACTOR})`);
      for (const superseded of supersededIndexes(table))
        if (made.indexes.has(superseded))
          await db.pool.query(`drop index concurrently if exists site."${superseded}"`);
    }
    for (const statement of await missingMarks()) await runBriefly(db, statement);
    if (!isComplete(types, await existing(db)))
      throw new Error('tables, columns or indexes are missing after they were made');
  });
}
