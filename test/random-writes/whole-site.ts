import { isDeepStrictEqual } from 'node:util';
import type { EntityRow, Json } from '@understudy/domain/entity';
import { type Api, call, entitiesOf, type Reply, readOf } from '../api-rig.ts';

/** What the replica shows otherwise than the site, and how many answers were the replica's own. */
export interface Comparison {
  readonly differences: readonly string[];
  readonly own: number;
  readonly asked: number;
}

/** Every signed address is another. */
const comparable = (value: Json | undefined): Json | undefined =>
  typeof value === 'string' && /^https?:/.test(value) ? 'an address' : value;

/**
 * Reads every row of every type, active and retired, at both and compares each field.
 * @param isLeftOut fields that are known to be behind.
 */
export async function compareWholeSite(
  api: Pick<Api, 'readerUrl' | 'siteUrl' | 'replica'>,
  isLeftOut: (field: string) => boolean = () => false,
): Promise<Comparison> {
  const differences: string[] = [];
  let own = 0;
  let asked = 0;
  for (const type of api.replica.schema.types.values()) {
    const fields = [...type.fields.values()]
      .filter(({ absent, name }) => !absent && !name.includes('current_user') && !isLeftOut(name))
      .map(({ name }) => name);
    for (const returnOnly of ['active', 'retired']) {
      const read = readOf(type.name, fields, [], { return_only: returnOnly });
      const [ours, theirs] = await Promise.all([
        call(api.readerUrl, 'read', read),
        call(api.siteUrl, 'read', read),
      ]);
      asked += 1;
      if (!String(ours.headers['x-understudy']).startsWith('replica')) continue;
      own += 1;
      const isRetired = returnOnly === 'retired';
      for (const difference of differencesOf(fields, ours, theirs, isRetired))
        differences.push(`${returnOnly} ${type.name} ${difference}`);
    }
  }
  return { differences, own, asked };
}

function differencesOf(
  fields: readonly string[],
  ours: Reply,
  theirs: Reply,
  isRetired: boolean,
): readonly string[] {
  const rows = new Map(entitiesOf(ours).map((row) => [row.id, row]));
  const found: string[] = [];
  for (const theirRow of entitiesOf(theirs)) {
    const row = rows.get(theirRow.id);
    rows.delete(theirRow.id);
    if (row === undefined) {
      found.push(`${theirRow.id} is missing`);
      continue;
    }
    for (const field of fields) {
      // No event tells what becomes of a retired row's lists and stamps.
      if (isRetired && (Array.isArray(theirRow[field]) || field.startsWith('updated_'))) continue;
      const [our, their] = [comparable(row[field]), comparable(theirRow[field])];
      if (!isDeepStrictEqual(our, their))
        found.push(`${theirRow.id}.${field}: ${JSON.stringify(our)}, at the site ${JSON.stringify(their)}`);
    }
  }
  for (const { id } of rows.values() as Iterable<EntityRow>) found.push(`${id} is not at the site`);
  return found;
}
