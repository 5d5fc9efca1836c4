import type { DataTypeName } from '@understudy/domain/data-types/data-type';
import { DATA_TYPES, isDataTypeName } from '@understudy/domain/data-types/registry';
import type { EntityRef, Json } from '@understudy/domain/entity';
import { parseSiteSchema, type SiteField, type SiteSchema } from '@understudy/schema/site-schema';
import fc from 'fast-check';
import { call } from '../api-rig.ts';
import { hostileText } from './hostile-text.ts';
import { DAYS, TIMES } from './moments.ts';

/** Every so many rows of a type are retired, and every so many projects archived. */
const RETIRED_EVERY = 6;
const ARCHIVED_EVERY = 3;
const NEVER_FILLED: ReadonlySet<string> = new Set(['EventLogEntry']);

type FieldItem = { readonly field_name: string; readonly value: Json };

/** A random value that a site accepts, or null for data types that nobody writes or that link. */
function scalar(field: SiteField, dataType: DataTypeName): fc.Arbitrary<Json> | null {
  if (field.validValues.length > 0) return fc.constantFrom(...field.validValues, null);
  const nullable = <T extends Json>(value: fc.Arbitrary<T>): fc.Arbitrary<Json> =>
    fc.oneof({ weight: 4, arbitrary: value }, { weight: 1, arbitrary: fc.constant(null) });
  switch (dataType) {
    case 'text':
      return nullable(hostileText);
    case 'number':
    case 'percent':
    case 'duration':
    case 'timecode':
      return nullable(fc.constantFrom(0, 1, -1, 7, 50, 1_001, 2_147_483_647, -2_147_483_648));
    case 'float':
      return nullable(fc.constantFrom(0, 0.1, -1.5, 1e-7, 1e21, 3));
    case 'currency':
      return nullable(fc.constantFrom(0, 0.01, -12.5, 9_999_999_999_999.99));
    case 'checkbox':
      return fc.boolean();
    case 'date':
      return nullable(fc.constantFrom(...DAYS));
    case 'date_time':
      return nullable(fc.constantFrom(...TIMES));
    case 'color':
      return nullable(fc.constantFrom('255,0,0', '0,0,0', 'pipeline_step'));
    case 'entity_type':
      return nullable(fc.constantFrom('Shot', 'Asset', 'shot'));
    case 'footage':
      return nullable(fc.constantFrom('12-05', '0-00'));
    case 'list':
    case 'status_list':
    case 'system_task_type':
      return nullable(fc.constantFrom('act', 'ip', 'Fin', "it's"));
    case 'uuid':
      return nullable(
        fc.constantFrom('0f8fad5b-d9cb-469f-a165-70867728950e', '7c9e6679-7425-40de-944b-e07fc1f90ae7'),
      );
    case 'serializable':
    case 'jsonb':
      return nullable(
        fc.constantFrom<Json>({ a: [1, { b: "it's" }], __proto: 1 }, [], 'text', 1.5, { 'a\\"': null }),
      );
    case 'tag_list':
      return fc.constantFrom<Json>([], ['a'], ['a', "b'c"]);
    default:
      return null;
  }
}

const isLink = (dataType: string): boolean =>
  isDataTypeName(dataType) && ['link', 'links'].includes(DATA_TYPES[dataType].storage);

/** Fills a sandbox site with rows of every type, full of hostile values, links of every kind, retired and archived. */
export async function fillStudio(siteUrl: string, rowsPerType: number, seed: number): Promise<void> {
  const schema = parseSiteSchema((await call(siteUrl, 'schema_read')).json.results);
  const filler = new Filler(siteUrl, schema, seed);
  const types = [...schema.keys()].filter((type) => !NEVER_FILLED.has(type));
  types.sort((a, b) => Number(b === 'Project') - Number(a === 'Project'));
  for (const type of types) await filler.create(type, rowsPerType);
  for (const type of types) await filler.link(type);
  for (const [index, ref] of filler.made.entries()) {
    if (index % RETIRED_EVERY === 1 && ref.type !== 'ApiUser') await call(siteUrl, 'delete', ref);
    else if (ref.type === 'Project' && index % ARCHIVED_EVERY === 0)
      await call(siteUrl, 'update', { ...ref, fields: [{ field_name: 'archived', value: true }] });
  }
}

/** Fields by name, as a write has them. */
const itemsOf = (values: Readonly<Record<string, Json>>): FieldItem[] =>
  Object.entries(values).map(([name, value]) => ({ field_name: name, value }));

class Filler {
  readonly #siteUrl: string;
  readonly #schema: SiteSchema;
  readonly #byType = new Map<string, EntityRef[]>();
  readonly #seed: number;

  constructor(siteUrl: string, schema: SiteSchema, seed: number) {
    this.#siteUrl = siteUrl;
    this.#schema = schema;
    this.#seed = seed;
  }

  get made(): readonly EntityRef[] {
    return [...this.#byType.values()].flat();
  }

  #fields(type: string): readonly SiteField[] {
    return [...(this.#schema.get(type)?.values() ?? [])].filter(
      (field) => field.editable && field.name !== 'id',
    );
  }

  /** Makes rows with a random value in every field that links nowhere. @throws Error where the site refuses. */
  async create(type: string, count: number): Promise<void> {
    const values: Record<string, fc.Arbitrary<Json>> = {};
    const unique = new Set<string>();
    for (const field of this.#fields(type)) {
      if (!isDataTypeName(field.dataType)) continue;
      if (field.name === 'archived' || (type === 'ApiUser' && field.name === 'firstname')) continue;
      const random = scalar(field, field.dataType);
      if (random === null) continue;
      values[field.name] = random;
      if (field.unique) unique.add(field.name);
    }
    const [project] = this.#byType.get('Project') ?? [];
    if (project !== undefined && this.#schema.get(type)?.has('project') === true)
      values['project'] = fc.constant(project as unknown as Json);
    const rows = fc.sample(fc.record(values), { numRuns: count, seed: this.#seed });
    const requests = rows.map((row, number) => ({
      request_type: 'create',
      type,
      fields: itemsOf(row).map((item) =>
        unique.has(item.field_name) && typeof item.value === 'string'
          ? { ...item, value: `${item.value} ${type} ${number}` }
          : item,
      ),
      return_fields: [],
    }));
    const { json } = await call(this.#siteUrl, 'batch', requests);
    if (json.exception === true) throw new Error(`create of ${type}: ${json.message}`);
    this.#byType.set(
      type,
      (json.results as unknown as EntityRef[]).map(({ id }) => ({ type, id })),
    );
  }

  /** Sets the links of a type's rows; those that the site refuses stay unset. */
  async link(type: string): Promise<void> {
    const values: Record<string, fc.Arbitrary<Json>> = {};
    for (const field of this.#fields(type)) {
      if (!isLink(field.dataType)) continue;
      const types = field.validTypes.length > 0 ? field.validTypes : ['Shot', 'Asset', 'Task'];
      const targets = types.flatMap((target) => this.#byType.get(target) ?? []) as unknown as Json[];
      if (targets.length === 0) continue;
      const target = fc.constantFrom(...targets);
      values[field.name] =
        field.dataType === 'entity'
          ? fc.oneof({ weight: 4, arbitrary: target }, { weight: 1, arbitrary: fc.constant(null) })
          : fc.uniqueArray(target, { maxLength: 3 });
    }
    const refs = this.#byType.get(type) ?? [];
    if (Object.keys(values).length === 0) return;
    const rows = fc.sample(fc.record(values), { numRuns: refs.length, seed: this.#seed });
    for (const [index, ref] of refs.entries()) {
      const fields = itemsOf(rows[index] ?? {});
      const { json } = await call(this.#siteUrl, 'update', { ...ref, fields });
      if (json.exception !== true) continue;
      for (const field of fields) await call(this.#siteUrl, 'update', { ...ref, fields: [field] });
    }
  }
}
