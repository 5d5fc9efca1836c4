import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { Queryable } from './database.ts';
import { entityTable, type FieldStorage } from './entity-tables.ts';

/** Everything physical that a schema's fields are kept in, as the statement that drops it. */
function dropStatements(schema: CachedSchema): ReadonlySet<string> {
  const statements = new Set<string>();
  for (const type of schema.types.values()) {
    const table = entityTable(type);
    for (const storage of table.fields.values()) {
      for (const statement of dropsOf(table.sqlName, storage)) statements.add(statement);
    }
    statements.add(`drop table if exists ${table.sqlName}`);
  }
  return statements;
}

function dropsOf(table: string, storage: FieldStorage): readonly string[] {
  const column = (name: string): string => `alter table if exists ${table} drop column if exists ${name}`;
  switch (storage.kind) {
    case 'column':
      return [column(storage.column)];
    case 'link':
      return [column(storage.typeColumn), column(storage.idColumn)];
    case 'links':
      return [`drop table if exists ${storage.table}`];
    case 'none':
      return [];
  }
}

/**
 * Drops the columns and tables that some schemas used and others do not: of a table that goes, its columns are not
 * touched one by one. @returns the statements that were run.
 */
export async function dropUnused(
  tx: Queryable,
  used: readonly CachedSchema[],
  wanted: readonly CachedSchema[],
): Promise<readonly string[]> {
  const keep = new Set(wanted.flatMap((schema) => [...dropStatements(schema)]));
  const drop = [...new Set(used.flatMap((schema) => [...dropStatements(schema)]))].filter(
    (statement) => !keep.has(statement),
  );
  for (const statement of drop) await tx.query(statement);
  return drop;
}
