import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import type { EntityLink, EntityRow, Json } from '@understudy/domain/entity';
import { isEntityRef } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable, FieldStorage } from '../entity-tables.ts';
import { type LinkTarget, upsertLinkTargets } from '../link-targets.ts';

/** One answer of the site about entities of one type: every cached field of every row. */
export interface FetchedRows {
  /** Taken before the request was sent. */
  readonly tick: number;
  /** The site's clock when it answered. */
  readonly siteTime: Date;
  readonly rows: readonly { readonly row: EntityRow; readonly active: boolean }[];
}

/** Fields that a fetch must ask for, so that its rows are complete. */
export function fetchedFields(table: EntityTable): readonly string[] {
  return [...table.fields].filter(([, storage]) => storage.kind !== 'none').map(([name]) => name);
}

/**
 * Merges rows that were fetched (design: one merge). A fetched value replaces a field unless the field was changed by
 * an event or write later than the fetch; a row that a later fetch has told of is left alone. One statement for the
 * rows and two for each list of links, however many rows there are.
 * @returns ids of the rows that took the fetch.
 */
export async function mergeFetched(
  tx: Queryable,
  table: EntityTable,
  fetched: FetchedRows,
): Promise<readonly number[]> {
  if (fetched.rows.length === 0) return [];
  const columns = scalarColumns(table);
  const records = fetched.rows.map(({ row, active }) => scalarRecord(table, row, active));
  const accepted = await upsertRows(tx, table, columns, records, fetched);
  const acceptedIds = new Set(accepted);
  for (const [name, storage] of table.fields) {
    if (storage.kind !== 'links') continue;
    const links = fetched.rows.flatMap(({ row }) =>
      acceptedIds.has(row.id)
        ? linksOf(row[name]).map((link) => ({
            entity_id: row.id,
            target_type: link.type,
            target_id: link.id,
          }))
        : [],
    );
    await replaceLinks(tx, storage.table, accepted, links, fetched.tick);
  }
  await upsertLinkTargets(tx, targetsSeen(table, fetched));
  return accepted;
}

interface Column {
  readonly name: string;
  readonly sqlType: string;
  /** Name of the field's stamp. */
  readonly stamp: string;
}

function scalarColumns(table: EntityTable): readonly Column[] {
  const columns: Column[] = [];
  for (const [stamp, storage] of table.fields) {
    if (storage.kind === 'column') columns.push({ name: storage.column, sqlType: storage.sqlType, stamp });
    if (storage.kind === 'link') {
      columns.push({ name: storage.typeColumn, sqlType: 'text', stamp });
      columns.push({ name: storage.idColumn, sqlType: 'bigint', stamp });
    }
  }
  columns.push({ name: '_active', sqlType: 'boolean', stamp: '_active' });
  return columns;
}

const unquoted = (name: string): string => name.replaceAll('"', '');

/** A value as the columns of its field take it. */
export function columnValues(storage: FieldStorage, value: Json): Readonly<Record<string, Json>> {
  if (storage.kind === 'column') return { [unquoted(storage.column)]: value };
  if (storage.kind !== 'link') return {};
  const ref = isEntityRef(value) ? value : null;
  return { [unquoted(storage.typeColumn)]: ref?.type ?? null, [unquoted(storage.idColumn)]: ref?.id ?? null };
}

function scalarRecord(table: EntityTable, row: EntityRow, active: boolean): Record<string, Json> {
  const record: Record<string, Json> = { id: row.id, _active: active };
  for (const [name, storage] of table.fields) {
    if (storage.kind !== 'column' && storage.kind !== 'link') continue;
    Object.assign(record, columnValues(storage, DATA_TYPES[storage.field.dataType].parse(row[name])));
  }
  return record;
}

async function upsertRows(
  tx: Queryable,
  table: EntityTable,
  columns: readonly Column[],
  records: readonly Record<string, Json>[],
  fetched: FetchedRows,
): Promise<readonly number[]> {
  const names = columns.map((column) => column.name).join(', ');
  const recordColumns = columns.map((column) => `${column.name} ${column.sqlType}`).join(', ');
  const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  const sets = columns.map(
    ({ name, stamp }) =>
      `${name} = case when t._stamps is null or coalesce((t._stamps->>${literal(stamp)})::bigint, 0) < excluded._fetched_tick
        then excluded.${name} else t.${name} end`,
  );
  const { rows } = await tx.query<{ id: string }>({
    text: `insert into ${table.sqlName} as t (id, ${names}, _fetched_tick, _site_time)
      select id, ${names}, $2, $3 from jsonb_to_recordset($1::jsonb) as r(id bigint, ${recordColumns}) order by id
      on conflict (id) do update set ${sets.join(', ')},
        _stamps = case when t._stamps is null then null else (
          select jsonb_object_agg(key, value) from jsonb_each(t._stamps) where value::bigint > excluded._fetched_tick) end,
        _fetched_tick = excluded._fetched_tick,
        _site_time = greatest(t._site_time, excluded._site_time)
      where t._fetched_tick < excluded._fetched_tick
      returning t.id`,
    values: [JSON.stringify(records), fetched.tick, fetched.siteTime],
  });
  return rows.map((row) => Number(row.id));
}

/** The links in a wire value; anything else in it is left out. */
export function linksOf(value: Json | undefined): readonly EntityLink[] {
  return Array.isArray(value) ? (value.filter(isEntityRef) as unknown as EntityLink[]) : [];
}

async function replaceLinks(
  tx: Queryable,
  linksTable: string,
  entityIds: readonly number[],
  links: readonly { entity_id: number; target_type: string; target_id: number }[],
  tick: number,
): Promise<void> {
  if (entityIds.length === 0) return;
  await tx.query(
    `with fetched as (
       select * from jsonb_to_recordset($2::jsonb) as r(entity_id bigint, target_type text, target_id bigint))
     delete from ${linksTable} l
     where l.entity_id = any($1::bigint[]) and (l._tick is null or l._tick < $3)
       and not exists (select from fetched f
         where f.entity_id = l.entity_id and f.target_type = l.target_type and f.target_id = l.target_id)`,
    [entityIds, JSON.stringify(links), tick],
  );
  if (links.length === 0) return;
  await tx.query(
    `insert into ${linksTable} as l (entity_id, target_type, target_id, _removed)
     select distinct entity_id, target_type, target_id, false
     from jsonb_to_recordset($1::jsonb) as r(entity_id bigint, target_type text, target_id bigint)
     on conflict (entity_id, target_type, target_id) do update set _removed = false, _tick = null
     where l._tick < $2`,
    [JSON.stringify(links), tick],
  );
}

/** Names of everything the rows link to (they are alive, or they would not be shown), and of the rows themselves. */
function targetsSeen(table: EntityTable, { rows, tick }: FetchedRows): readonly LinkTarget[] {
  const targets: LinkTarget[] = [];
  const see = (link: EntityLink): void => {
    targets.push({
      type: link.type,
      id: link.id,
      active: true,
      tick,
      ...(link.name === undefined ? {} : { name: link.name }),
    });
  };
  for (const { row, active } of rows) {
    for (const [name, storage] of table.fields) {
      const value = row[name];
      if (storage.kind === 'link' && isEntityRef(value)) see(value as unknown as EntityLink);
      if (storage.kind === 'links') for (const link of linksOf(value)) see(link);
    }
    const name = row['cached_display_name'];
    targets.push({
      type: table.type,
      id: row.id,
      active,
      tick,
      ...(typeof name === 'string' ? { name } : {}),
    });
  }
  return targets;
}
