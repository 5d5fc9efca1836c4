import type { EntityRef } from '@understudy/domain/entity';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { Queryable } from '@understudy/store/database';
import { entityTable, type FieldStorage } from '@understudy/store/entity-tables';
import { isConnectionType } from './connection-rows.ts';
import type { WriteRequest } from './write-requests.ts';

/** Entities that go and come back with another, by the field that links to it (protocol §3.4, §5.3). */
const CASCADES: Readonly<Record<string, readonly (readonly [type: string, field: string])[]>> = {
  Shot: [['Version', 'entity']],
  Asset: [['Version', 'entity']],
  Cut: [['CutItem', 'cut']],
  Note: [['Reply', 'entity']],
};

/** More entities that go with one are left to the event log, which tells of each. */
const CASCADE_MAX = 2_000;
/** More that link to one that is not kept are left to the event log as well. */
const LINKERS_MAX = 200;
/** Links that nearly every entity has and that no list mirrors. */
const NOT_MIRRORED: ReadonlySet<string> = new Set(['project', 'created_by', 'updated_by']);

/**
 * @returns whether a field of the target may mirror a link that an entity of type `writtenType` has to it: writing the
 * link changes both (protocol §5.1, "reverse fields"). The public schema does not tell which field mirrors which, so
 * every link field that may hold the written type counts.
 */
function mayMirror(schema: CachedSchema, writtenType: string, target: EntityRef): boolean {
  const cached = schema.types.get(target.type);
  if (cached === undefined) return false;
  // Rows of connection types are what links of other types are made of.
  if (!schema.types.has(writtenType) || isConnectionType(writtenType)) return true;
  for (const { kind, field } of entityTable(cached).fields.values()) {
    if (kind !== 'link' && kind !== 'links') continue;
    if (field.validTypes.length === 0 || field.validTypes.includes(writtenType)) return true;
  }
  return false;
}

/** Links of rows in some fields, as the replica has them. */
async function linksHeld(
  database: Queryable,
  schema: CachedSchema,
  type: string,
  ids: readonly number[],
  fields: ReadonlySet<string>,
): Promise<readonly EntityRef[]> {
  const cached = schema.types.get(type);
  if (cached === undefined) return [];
  const table = entityTable(cached);
  const selects: string[] = [];
  for (const [name, storage] of table.fields) {
    if (fields.has(name)) selects.push(...linkSelect(table.sqlName, storage));
  }
  if (selects.length === 0) return [];
  const { rows } = await database.query<{ type: string; id: string }>(selects.join(' union '), [ids]);
  return rows.map((row) => ({ type: row.type, id: Number(row.id) }));
}

function linkSelect(rowTable: string, storage: FieldStorage): readonly string[] {
  if (storage.kind === 'link') {
    const { typeColumn, idColumn } = storage;
    return [
      `select ${typeColumn} as type, ${idColumn} as id from ${rowTable}
       where id = any($1::bigint[]) and ${idColumn} is not null`,
    ];
  }
  if (storage.kind === 'links') {
    return [
      `select target_type as type, target_id as id from ${storage.table}
       where entity_id = any($1::bigint[]) and not _removed`,
    ];
  }
  return [];
}

/** Entities that link, as the replica has it, to some of a type that it does not keep. */
async function linkersHeld(
  database: Queryable,
  schema: CachedSchema,
  type: string,
  ids: readonly number[],
): Promise<readonly EntityRef[]> {
  const linking = [...schema.types.values()];
  const selects: string[] = [];
  for (const [place, linkingType] of linking.entries()) {
    const table = entityTable(linkingType);
    for (const [name, storage] of table.fields) {
      const { validTypes } = storage.field;
      if (NOT_MIRRORED.has(name)) continue;
      if (validTypes.length > 0 && !validTypes.includes(type)) continue;
      if (storage.kind === 'link')
        selects.push(
          `select ${place} as place, id from ${table.sqlName}
           where ${storage.typeColumn} = $1 and ${storage.idColumn} = any($2::bigint[])`,
        );
      if (storage.kind === 'links')
        selects.push(
          `select ${place} as place, entity_id as id from ${storage.table}
           where target_type = $1 and target_id = any($2::bigint[]) and not _removed`,
        );
    }
  }
  if (selects.length === 0) return [];
  const text = `${selects.join(' union ')} limit ${LINKERS_MAX}`;
  const { rows } = await database.query<{ place: number; id: string }>(text, [type, ids]);
  return rows.map((row) => ({ type: linking[row.place]?.name ?? '', id: Number(row.id) }));
}

/** Entities that are retired or revived together with these. */
async function cascaded(
  database: Queryable,
  schema: CachedSchema,
  type: string,
  ids: readonly number[],
): Promise<readonly EntityRef[]> {
  const found: EntityRef[] = [];
  for (const [child, field] of Object.hasOwn(CASCADES, type) ? (CASCADES[type] ?? []) : []) {
    const cached = schema.types.get(child);
    const storage = cached === undefined ? undefined : entityTable(cached).fields.get(field);
    if (cached === undefined || storage?.kind !== 'link') continue;
    const { rows } = await database.query<{ id: string }>(
      `select id from ${entityTable(cached).sqlName}
       where ${storage.typeColumn} = $1 and ${storage.idColumn} = any($2::bigint[]) limit ${CASCADE_MAX}`,
      [type, ids],
    );
    found.push(...rows.map((row) => ({ type: child, id: Number(row.id) })));
  }
  return found;
}

/** Requests of one kind about entities of one type, taken together. */
interface Group {
  readonly kind: WriteRequest['kind'];
  readonly type: string;
  readonly ids: Set<number>;
  readonly fields: Set<string>;
  relinks: boolean;
}

function grouped(requests: readonly (WriteRequest | null)[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const request of requests) {
    if (request === null || request.id === null) continue;
    const { kind, type } = request;
    const key = `${kind} ${type}`;
    const group = groups.get(key) ?? { kind, type, ids: new Set(), fields: new Set(), relinks: false };
    group.ids.add(request.id);
    group.relinks ||= request.relinks;
    for (const field of request.fields) group.fields.add(field);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/**
 * Entities, besides those that a write names, that it changes without its reply saying so (protocol §5.1 to §5.3, §8):
 * what mirrors its links, new ones and those that were there before, and what is retired or revived with it. To be
 * asked before the write is merged, while the replica still knows the links from before.
 */
export async function sideEffects(
  database: Queryable,
  schema: CachedSchema,
  requests: readonly (WriteRequest | null)[],
): Promise<readonly EntityRef[]> {
  const affected: EntityRef[] = [];
  for (const request of requests) {
    if (request === null) continue;
    affected.push(...request.links.filter((ref) => mayMirror(schema, request.type, ref)));
  }
  for (const { kind, type, ids, fields, relinks } of grouped(requests)) {
    // What the fields of one that is not kept led to is not known; what may mirror them is.
    if (kind === 'update' && relinks && !schema.types.has(type))
      affected.push(...(await linkersHeld(database, schema, type, [...ids])));
    // What is revived has all its links back; the links of what is retired are hidden with it, but for those that a row
    // of a connection type stands for: they are gone.
    const isOfAll = kind === 'revive' || (kind === 'delete' && isConnectionType(type));
    const linkFields = isOfAll ? new Set(schema.types.get(type)?.fields.keys() ?? []) : fields;
    if (kind === 'update' || isOfAll) {
      const held = await linksHeld(database, schema, type, [...ids], linkFields);
      affected.push(...held.filter((ref) => mayMirror(schema, type, ref)));
    }
    if (kind === 'delete' || kind === 'revive')
      affected.push(...(await cascaded(database, schema, type, [...ids])));
  }
  return affected;
}
