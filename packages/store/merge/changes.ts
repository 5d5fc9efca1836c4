import { DATA_TYPES } from '@understudy/domain/data-types/registry';
import { type EntityRef, type Json, refKey } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import { columnValues } from './fetched.ts';
import { type FieldChange, judge, type KnownField } from './judge.ts';

/** One change of one row, told by an event or a write. */
export interface RowChange {
  readonly id: number;
  readonly tick: number;
  /** By the site's clock, when it happened; null for a write's answer, which is certain. */
  readonly siteTime: Date | null;
  readonly change:
    | { readonly kind: 'set'; readonly field: string; readonly value: Json }
    | {
        readonly kind: 'links';
        readonly field: string;
        readonly added: readonly EntityRef[];
        readonly removed: readonly EntityRef[];
      }
    | { readonly kind: 'active'; readonly value: boolean }
    /** Never in doubt: the later of the two moments stays. */
    | { readonly kind: 'latest'; readonly field: string; readonly value: string };
}

export interface MergedChanges {
  /** Rows whose state is in doubt: they must be fetched. */
  readonly doubtful: readonly number[];
  /** Rows that the replica does not have: they must be fetched. */
  readonly missing: readonly number[];
}

interface LockedRow {
  readonly id: string;
  readonly _fetched_tick: string;
  readonly _stamps: Readonly<Record<string, number>> | null;
  readonly _site_time: Date | null;
  readonly values: Readonly<Record<string, Json>>;
}

interface LinkRow {
  readonly entity_id: string;
  readonly target_type: string;
  readonly target_id: string;
  readonly _removed: boolean;
  readonly _tick: string | null;
}

/**
 * Merges changes into rows of one type (design: one merge): a change sets a field if its tick is later than the field's
 * stamp and the row's fetch; what may already be contained in the row and differs is in doubt. Rows are locked in id
 * order, judged, and written in one statement for each changed field; any order, repetition or concurrency of batches
 * gives one result.
 */
export async function mergeChanges(
  tx: Queryable,
  table: EntityTable,
  changes: readonly RowChange[],
): Promise<MergedChanges> {
  const ids = [...new Set(changes.map((change) => change.id))].sort((a, b) => a - b);
  if (ids.length === 0) return { doubtful: [], missing: [] };
  // The lock is a statement of its own: what follows then sees the rows as the last holder left them.
  await tx.query(`select id from ${table.sqlName} where id = any($1::bigint[]) order by id for update`, [
    ids,
  ]);
  const rows = await knownRows(tx, table, ids, changes);
  const links = await knownLinks(tx, table, ids, changes);
  const doubtful = new Set<number>();
  const missing = new Set<number>();
  const sets = new Map<string, Map<number, { value: Json; tick: number }>>();
  const linkSets = new Map<
    string,
    Map<string, { id: number; target: EntityRef; removed: boolean; tick: number }>
  >();
  for (const change of [...changes].sort((a, b) => a.tick - b.tick)) {
    const row = rows.get(change.id);
    if (row === undefined) {
      missing.add(change.id);
      continue;
    }
    for (const fieldChange of fieldChanges(table, change)) {
      const { key } = fieldChange;
      const known = knownField(
        row,
        key,
        links.get(`${change.id}|${key}`),
        sets.get(key)?.get(change.id),
        linkSets.get(fieldChange.field)?.get(`${change.id}|${key}`),
      );
      const verdict = judge(known, fieldChange);
      if (verdict === 'doubt') doubtful.add(change.id);
      if (verdict !== 'apply') continue;
      if (fieldChange.target === undefined) {
        const ofField = sets.get(key) ?? new Map();
        sets.set(key, ofField.set(change.id, { value: fieldChange.value, tick: change.tick }));
      } else {
        const ofField = linkSets.get(fieldChange.field) ?? new Map();
        const removed = fieldChange.value === false;
        linkSets.set(
          fieldChange.field,
          ofField.set(`${change.id}|${key}`, {
            id: change.id,
            target: fieldChange.target,
            removed,
            tick: change.tick,
          }),
        );
      }
    }
  }
  for (const [field, ofField] of sets) await writeField(tx, table, field, ofField);
  for (const [field, ofField] of linkSets) await writeLinks(tx, table, field, [...ofField.values()]);
  return { doubtful: [...doubtful], missing: [...missing] };
}

/** A change as judgements of single values; a link of a list is a value of its own (true: there, false: removed). */
function fieldChanges(table: EntityTable, { change, tick, siteTime }: RowChange): readonly FieldChange[] {
  const base = { tick, siteTime, latest: false };
  if (change.kind === 'active') return [{ ...base, key: '_active', field: '_active', value: change.value }];
  const storage = table.fields.get(change.field);
  if (storage === undefined || storage.kind === 'none') return [];
  if (change.kind === 'latest') {
    return [{ ...base, latest: true, key: change.field, field: change.field, value: change.value }];
  }
  if (change.kind === 'set') {
    const value = DATA_TYPES[storage.field.dataType].parse(change.value);
    return [
      {
        ...base,
        key: change.field,
        field: change.field,
        value: storage.kind === 'link' ? plain(value) : value,
      },
    ];
  }
  if (storage.kind !== 'links') return [];
  const one = (target: EntityRef, value: boolean): FieldChange => ({
    ...base,
    key: `${change.field}|${refKey(target)}`,
    field: change.field,
    target,
    value,
  });
  return [
    ...change.removed.map((target) => one(target, false)),
    ...change.added.map((target) => one(target, true)),
  ];
}

function plain(value: Json): Json {
  const ref = value as { type: string; id: number } | null;
  return ref === null ? null : { type: ref.type, id: ref.id };
}

function knownField(
  row: LockedRow,
  key: string,
  link: LinkRow | undefined,
  set: { value: Json; tick: number } | undefined,
  linkSet: { removed: boolean; tick: number } | undefined,
): KnownField {
  const base = { fetchedTick: Number(row._fetched_tick), siteTime: row._site_time };
  if (set !== undefined) return { ...base, value: set.value, stamp: set.tick };
  if (linkSet !== undefined) return { ...base, value: !linkSet.removed, stamp: linkSet.tick };
  if (key.includes('|')) {
    return { ...base, value: link !== undefined && !link._removed, stamp: Number(link?._tick ?? 0) };
  }
  return { ...base, value: row.values[key] ?? null, stamp: Number(row._stamps?.[key] ?? 0) };
}

/** The rows with the values of the fields that the changes touch, in canonical wire form. */
async function knownRows(
  tx: Queryable,
  table: EntityTable,
  ids: readonly number[],
  changes: readonly RowChange[],
): Promise<ReadonlyMap<number, LockedRow>> {
  const parts = [`'_active', _active`];
  const fields = new Set(changes.flatMap(({ change }) => ('field' in change ? [change.field] : [])));
  for (const name of [...fields].sort()) {
    const storage = table.fields.get(name);
    const literal = `'${name.replaceAll("'", "''")}'`;
    if (storage?.kind === 'column') {
      const isTime = storage.sqlType === 'timestamptz';
      const sql = isTime
        ? `to_char(${storage.column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`
        : storage.column;
      parts.push(`${literal}, ${sql}`);
    }
    if (storage?.kind === 'link') {
      parts.push(`${literal}, case when ${storage.idColumn} is null then null
        else jsonb_build_object('type', ${storage.typeColumn}, 'id', ${storage.idColumn}) end`);
    }
  }
  const objects = chunked(parts, 40).map((some) => `jsonb_build_object(${some.join(', ')})`);
  const { rows } = await tx.query<LockedRow>(
    `select id, _fetched_tick, _stamps, _site_time, ${objects.join(' || ')} as values
     from ${table.sqlName} where id = any($1::bigint[])`,
    [ids],
  );
  return new Map(rows.map((row) => [Number(row.id), row]));
}

/** PostgreSQL takes at most 100 arguments to a function. */
function chunked<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

async function knownLinks(
  tx: Queryable,
  table: EntityTable,
  ids: readonly number[],
  changes: readonly RowChange[],
): Promise<ReadonlyMap<string, LinkRow>> {
  const known = new Map<string, LinkRow>();
  const fields = new Set(changes.flatMap(({ change }) => (change.kind === 'links' ? [change.field] : [])));
  for (const field of fields) {
    const storage = table.fields.get(field);
    if (storage?.kind !== 'links') continue;
    const { rows } = await tx.query<LinkRow>(
      `select entity_id, target_type, target_id, _removed, _tick from ${storage.table} where entity_id = any($1::bigint[])`,
      [ids],
    );
    for (const row of rows) known.set(`${row.entity_id}|${field}|${row.target_type}:${row.target_id}`, row);
  }
  return known;
}

async function writeField(
  tx: Queryable,
  table: EntityTable,
  field: string,
  values: ReadonlyMap<number, { readonly value: Json; readonly tick: number }>,
): Promise<void> {
  const storage = table.fields.get(field);
  const columns =
    field === '_active'
      ? [{ name: '_active', sqlType: 'boolean' }]
      : storage?.kind === 'column'
        ? [{ name: storage.column, sqlType: storage.sqlType }]
        : storage?.kind === 'link'
          ? [
              { name: storage.typeColumn, sqlType: 'text' },
              { name: storage.idColumn, sqlType: 'bigint' },
            ]
          : [];
  if (columns.length === 0) throw new Error(`${table.type}.${field} has no column`);
  const records = [...values].map(([id, { value, tick }]) => ({
    id,
    tick,
    ...(storage === undefined ? { _active: value } : columnValues(storage, value)),
  }));
  await tx.query(
    `update ${table.sqlName} t set ${columns.map(({ name }) => `${name} = r.${name}`).join(', ')},
       _stamps = coalesce(t._stamps, '{}'::jsonb) || jsonb_build_object($2::text, r.tick)
     from jsonb_to_recordset($1::jsonb) as r(id bigint, tick bigint, ${columns.map(({ name, sqlType }) => `${name} ${sqlType}`).join(', ')})
     where t.id = r.id`,
    [JSON.stringify(records), field],
  );
}

async function writeLinks(
  tx: Queryable,
  table: EntityTable,
  field: string,
  links: readonly {
    readonly id: number;
    readonly target: EntityRef;
    readonly removed: boolean;
    readonly tick: number;
  }[],
): Promise<void> {
  const storage = table.fields.get(field);
  if (storage?.kind !== 'links') throw new Error(`${table.type}.${field} has no table of links`);
  const records = links.map(({ id, target, removed, tick }) => ({
    entity_id: id,
    target_type: target.type,
    target_id: target.id,
    removed,
    tick,
  }));
  await tx.query(
    `insert into ${storage.table} (entity_id, target_type, target_id, _removed, _tick)
     select entity_id, target_type, target_id, removed, tick from jsonb_to_recordset($1::jsonb)
       as r(entity_id bigint, target_type text, target_id bigint, removed boolean, tick bigint)
     on conflict (entity_id, target_type, target_id) do update set _removed = excluded._removed, _tick = excluded._tick`,
    [JSON.stringify(records)],
  );
}
