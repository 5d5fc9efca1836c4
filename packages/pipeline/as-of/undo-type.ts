import type { Queryable } from '@understudy/store/database';
import type { EntityTable } from '@understudy/store/entity-tables';
import { literal, type ScalarField, scalarFields } from '@understudy/store/merge/columns';
import { ROW } from '@understudy/store/merge/update-log';

/** Tables as they are now, and what stands for them as they were. */
export type Stand = Map<string, string>;

/**
 * Makes temporary views of a type's table and of the tables of its lists as they were at a moment: rows that changed
 * since are copied and the log undone in the copy, all others are read where they are.
 * @param what `cut`: SQL of what an entry of the log that came after the moment fulfils; `fields`: those that are read,
 * nobody looks at what the others show.
 */
export async function undoType(
  tx: Queryable,
  table: EntityTable,
  what: { readonly cut: string; readonly fields: ReadonlySet<string> },
  stand: Stand,
): Promise<void> {
  const { cut } = what;
  const number = stand.size;
  const log = `log_${number}`;
  const type = literal(table.type);
  await tx.query(
    `create temp table ${log} on commit drop as
     select seq, entity_id, field, old, new from understudy.data_update_field where entity_type = ${type} and ${cut}`,
  );
  // The row's first coming or going after the moment: what its fields did later says nothing of them before.
  const rows = `rows_${number}`;
  await tx.query(
    `create temp table ${rows} on commit drop as
     select distinct on (entity_id) entity_id, seq, old from ${log} where field = '${ROW}' order by entity_id, seq`,
  );
  const first = `first_${number}`;
  // Of a list each link is a value of its own; of every other field there is one.
  const lists = [...table.fields]
    .flatMap(([field, storage]) => (storage.kind === 'links' ? [literal(field)] : []))
    .concat('null')
    .join(', ');
  await tx.query(
    `create temp table ${first} on commit drop as
     select distinct on (l.entity_id, l.field, key) l.entity_id, l.field, l.old, l.new, key
     from (select *, case when field in (${lists}) then coalesce(old, new) end as key from ${log}) l
       left join ${rows} r on r.entity_id = l.entity_id
     where l.field <> '${ROW}' and (r.seq is null or l.seq < r.seq)
     order by l.entity_id, l.field, key, l.seq`,
  );
  const scalars = [...scalarFields(table).values()].filter(
    ({ name }) => what.fields.has(name) || !table.fields.has(name),
  );
  await undoRows(tx, table, scalars, { log, rows, first, number }, stand);
  for (const [field, storage] of table.fields)
    if (storage.kind === 'links' && what.fields.has(field))
      await undoLinks(tx, storage.table, field, { log, rows, first, number }, stand);
}

interface Names {
  readonly log: string;
  readonly rows: string;
  readonly first: string;
  readonly number: number;
}

/** A column's value from a value of the log. */
function columnSql(field: ScalarField, at: number, value: string): string {
  const column = field.columns[at];
  if (field.columns.length === 2) return at === 0 ? `${value} ->> 'type'` : `(${value} ->> 'id')::bigint`;
  return column?.sqlType === 'jsonb' ? value : `(${value} #>> '{}')::${column?.sqlType}`;
}

async function undoRows(
  tx: Queryable,
  table: EntityTable,
  fields: readonly ScalarField[],
  { log, rows, first, number }: Names,
  stand: Stand,
): Promise<void> {
  const undone = `undone_${number}`;
  await tx.query(
    `create temp table ${undone} on commit drop as select s.* from ${table.sqlName} s
     where s.id in (select entity_id from ${log}) and s.id not in (select entity_id from ${rows})`,
  );
  const columns = fields.flatMap((field) => field.columns.map(({ name }) => name));
  const values = fields.flatMap((field) =>
    field.columns.map((_, at) => columnSql(field, at, `(r.old -> ${literal(field.name)})`)),
  );
  await tx.query(
    `insert into ${undone} (id, _fetched_tick, ${columns.join(', ')})
     select r.entity_id, 0, ${values.join(', ')} from ${rows} r where r.old is not null`,
  );
  for (const field of fields) {
    const sets = field.columns.map(({ name }, at) => `${name} = ${columnSql(field, at, 'f.old')}`);
    await tx.query(
      `update ${undone} u set ${sets.join(', ')} from ${first} f
       where f.entity_id = u.id and f.field = ${literal(field.name)}`,
    );
  }
  const view = `was_${number}`;
  await tx.query(
    `create temp view ${view} as select * from ${table.sqlName} s where s.id not in (select entity_id from ${log})
     union all select * from ${undone}`,
  );
  stand.set(table.sqlName, `pg_temp.${view}`);
}

async function undoLinks(
  tx: Queryable,
  table: string,
  field: string,
  { log, rows, first, number }: Names,
  stand: Stand,
): Promise<void> {
  const undone = `links_${number}_${stand.size}`;
  const name = literal(field);
  await tx.query(
    `create temp table ${undone} on commit drop as select l.* from ${table} l
     where l.entity_id in (select entity_id from ${log}) and l.entity_id not in (select entity_id from ${rows})
       and not l._removed`,
  );
  const link = 'entity_id, target_type, target_id, _removed';
  await tx.query(
    `insert into ${undone} (${link})
     select r.entity_id, x ->> 'type', (x ->> 'id')::bigint, false
     from ${rows} r cross join lateral jsonb_array_elements(r.old -> ${name}) x where r.old is not null`,
  );
  // Also a link that was there: it may have gone and come again, and is there now.
  await tx.query(
    `delete from ${undone} u using ${first} f where f.field = ${name} and f.entity_id = u.entity_id
       and f.key ->> 'type' = u.target_type and (f.key ->> 'id')::bigint = u.target_id`,
  );
  await tx.query(
    `insert into ${undone} (${link}) select f.entity_id, f.old ->> 'type', (f.old ->> 'id')::bigint, false
     from ${first} f where f.field = ${name} and f.old is not null`,
  );
  const view = `was_${undone}`;
  await tx.query(
    `create temp view ${view} as select * from ${table} l where l.entity_id not in (select entity_id from ${log})
     union all select * from ${undone}`,
  );
  stand.set(table, `pg_temp.${view}`);
}
