import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { Queryable } from './database.ts';
import { entityTable, type FieldStorage, unquote } from './entity-tables.ts';

/** A column, or with none a whole table, that fields are kept in. Names are quoted where they need it. */
interface Place {
  readonly table: string;
  readonly column: string | null;
}

/** Everything physical that a schema's fields are kept in, by the statement that drops it. */
function placesOf(schema: CachedSchema): ReadonlyMap<string, Place> {
  const places: Place[] = [];
  for (const type of schema.types.values()) {
    const { sqlName, fields } = entityTable(type);
    for (const storage of fields.values()) places.push(...placesOfField(sqlName, storage));
    places.push({ table: sqlName, column: null });
  }
  return new Map(places.map((place) => [dropStatement(place), place]));
}

function placesOfField(table: string, storage: FieldStorage): readonly Place[] {
  switch (storage.kind) {
    case 'column':
      return [{ table, column: storage.column }];
    case 'link':
      return [
        { table, column: storage.typeColumn },
        { table, column: storage.idColumn },
      ];
    case 'links':
      return [{ table: storage.table, column: null }];
    case 'none':
      return [];
  }
}

const dropStatement = ({ table, column }: Place): string =>
  column === null
    ? `drop table if exists ${table}`
    : `alter table if exists ${table} drop column if exists ${column}`;

/** What became of the statements that drop columns and tables. */
export interface Dropped {
  /** Those that were run. */
  readonly dropped: readonly string[];
  /** Those that were not, with what stood in their way. */
  readonly kept: readonly { readonly statement: string; readonly why: string }[];
}

/** Somebody's own view or foreign key needs the column or table. */
const NEEDED_BY_OTHERS = '2BP01';
/** Somebody reads the table. */
const IN_USE = '55P03';
/** Nobody waits for these columns, but whoever reads or writes the table waits behind us meanwhile. */
const LOCK_TIMEOUT_MS = 500;

/**
 * Drops the columns and tables that some schemas used and others do not. What somebody's own view or foreign key needs
 * stays; so does all the rest once a table turns out to be read by somebody for long.
 */
export async function dropUnused(
  tx: Queryable,
  used: readonly CachedSchema[],
  wanted: readonly CachedSchema[],
): Promise<Dropped> {
  const keep = new Set(wanted.flatMap((schema) => [...placesOf(schema).keys()]));
  const unused = new Map(used.flatMap((schema) => [...placesOf(schema)].filter(([text]) => !keep.has(text))));
  const dropped: string[] = [];
  const kept: { statement: string; why: string }[] = [];
  await tx.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
  let inUse: string | null = null;
  for (const statement of await existing(tx, unused)) {
    if (inUse !== null) {
      kept.push({ statement, why: inUse });
      continue;
    }
    await tx.query('savepoint before_drop');
    try {
      await tx.query(statement);
      dropped.push(statement);
    } catch (error) {
      const { code, detail, message } = error as { code?: string; detail?: string; message: string };
      if (code !== NEEDED_BY_OTHERS && code !== IN_USE) throw error;
      await tx.query('rollback to savepoint before_drop');
      if (code === IN_USE) inUse = 'somebody is reading such a table';
      kept.push({ statement, why: inUse ?? detail ?? message });
    }
    await tx.query('release savepoint before_drop');
  }
  return { dropped, kept };
}

/** The statements that have something to drop. */
async function existing(tx: Queryable, places: ReadonlyMap<string, Place>): Promise<readonly string[]> {
  const all = [...places];
  const { rows } = await tx.query<{ statement: string }>(
    `select statement from unnest($1::text[], $2::text[], $3::text[]) with ordinality as p (statement, tab, col, n)
     where to_regclass(tab) is not null and (col is null or exists (
       select from pg_attribute where attrelid = to_regclass(tab) and attname = col and not attisdropped))
     order by n`,
    [
      all.map(([statement]) => statement),
      all.map(([, { table }]) => table),
      all.map(([, { column }]) => (column === null ? null : unquote(column))),
    ],
  );
  return rows.map((row) => row.statement);
}
