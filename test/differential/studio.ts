import type { EntityRow, Json } from '@understudy/domain/entity';
import { isEntityRef, refKey } from '@understudy/domain/entity';
import type { CachedField, CachedSchema } from '@understudy/schema/cached-schema';
import { call, entitiesOf, readOf } from '../api-rig.ts';

/** What random reads are made of: the schema, and rows whose values filters ask for. */
export interface Studio {
  readonly schema: CachedSchema;
  readonly active: ReadonlyMap<string, readonly EntityRow[]>;
  readonly retired: ReadonlyMap<string, readonly EntityRow[]>;
  /** Active ones by `Type:id`. */
  readonly byRef: ReadonlyMap<string, EntityRow>;
}

/** Reads every row of a site through its own API. */
export async function studioOf(siteUrl: string, schema: CachedSchema): Promise<Studio> {
  const rowsOf = async (returnOnly: string): Promise<Map<string, readonly EntityRow[]>> => {
    const rows = new Map<string, readonly EntityRow[]>();
    for (const type of schema.types.values()) {
      const read = readOf(type.name, [...type.fields.keys()], [], { return_only: returnOnly });
      rows.set(type.name, entitiesOf(await call(siteUrl, 'read', read)));
    }
    return rows;
  };
  const active = await rowsOf('active');
  const byRef = new Map([...active.values()].flat().map((row) => [refKey(row), row]));
  return { schema, active, retired: await rowsOf('retired'), byRef };
}

export function fieldsOf(studio: Studio, type: string): readonly CachedField[] {
  return [...(studio.schema.types.get(type)?.fields.values() ?? [])];
}

/** What stands at a dotted path of a row: nothing, one value, or several behind lists of links. */
export function valuesAt(studio: Studio, row: EntityRow, path: string): readonly Json[] {
  const [name = '', type, ...rest] = path.split('.');
  const value = row[name] ?? null;
  const values = Array.isArray(value) ? (value as readonly Json[]) : value === null ? [] : [value];
  if (type === undefined) return values;
  return values.flatMap((link) => {
    const target = isEntityRef(link) && link.type === type ? studio.byRef.get(refKey(link)) : undefined;
    return target === undefined ? [] : valuesAt(studio, target, rest.join('.'));
  });
}
