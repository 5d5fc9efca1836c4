import type { EntityRef } from '@understudy/domain/entity';
import type { Replica } from '@understudy/pipeline/replica';
import type { CachedSchema, CachedType } from '@understudy/schema/cached-schema';
import { and, leaf } from '@understudy/site-client/filters';
import { entityTable } from '@understudy/store/entity-tables';
import type { WriteRequest } from './write-requests.ts';

/** As connection types are named; the public schema does not tell which they are (protocol §5.8, §6.2). */
const CONNECTION_NAME = /(Connection|Dependency)$/;

/** @returns whether rows of a type stand for links between two others, so that writing one changes what both show. */
export function isConnectionType(type: string): boolean {
  return CONNECTION_NAME.test(type);
}

/** Rows of a connection type that link to some entities by one of its fields. */
interface Rows {
  readonly type: string;
  readonly field: string;
  readonly owners: readonly EntityRef[];
}

/** The links of a connection type. */
function endsOf(type: CachedType): readonly (readonly [field: string, validTypes: readonly string[]])[] {
  return [...entityTable(type).fields].flatMap(([name, { kind, field }]) =>
    kind === 'link' ? [[name, field.validTypes] as const] : [],
  );
}

/** Connection types whose rows may stand for the links in a list of a type, by the field that leads to its owner. */
function connectionsOf(
  schema: CachedSchema,
  ownerType: string,
  listed: readonly string[],
): readonly (readonly [type: string, field: string])[] {
  return [...schema.types].flatMap(([name, type]) => {
    if (!isConnectionType(name)) return [];
    const ends = endsOf(type);
    return ends.flatMap(([field, validTypes]) => {
      const isOther = ([other, types]: (typeof ends)[number]): boolean =>
        other !== field && types.some((one) => listed.includes(one));
      return validTypes.includes(ownerType) && ends.some(isOther) ? [[name, field] as const] : [];
    });
  });
}

/** What to compare after writes of lists: each field of each connection type that may have to do with one. */
function rowsToCompare(
  schema: CachedSchema,
  requests: readonly (WriteRequest | null)[],
  subjects: readonly EntityRef[],
): readonly Rows[] {
  const found = new Map<string, Rows>();
  for (const request of requests) {
    const cached = request === null ? undefined : schema.types.get(request.type);
    if (request === null || cached === undefined) continue;
    for (const name of request.fields) {
      const storage = entityTable(cached).fields.get(name);
      if (storage?.kind !== 'links') continue;
      const owners = subjects.filter(({ type }) => type === request.type);
      for (const [type, field] of connectionsOf(schema, request.type, storage.field.validTypes))
        if (owners.length > 0) found.set(`${type}.${field} ${request.type}`, { type, field, owners });
    }
  }
  return [...found.values()];
}

/** Ids of the rows that are alive, as the replica has them. */
async function heldRows(replica: Replica, { type, field, owners }: Rows): Promise<ReadonlySet<number>> {
  const cached = replica.schema.types.get(type);
  const table = cached === undefined ? null : entityTable(cached);
  const storage = table?.fields.get(field);
  if (table === null || storage?.kind !== 'link') return new Set();
  const { rows } = await replica.db.pool.query<{ id: string }>(
    `select id from ${table.sqlName}
     where ${storage.typeColumn} = $1 and ${storage.idColumn} = any($2::bigint[]) and _active`,
    [owners[0]?.type, owners.map(({ id }) => id)],
  );
  return new Set(rows.map(({ id }) => Number(id)));
}

/** Ids of the rows that are alive, as the site has them. @throws SiteUnavailable */
async function rowsOfSite(replica: Replica, { type, field, owners }: Rows): Promise<ReadonlySet<number>> {
  const filters = and(leaf(field, 'in', ...owners.map(({ type: owner, id }) => ({ type: owner, id }))));
  const ids = new Set<number>();
  const pages = replica.site.readAllById(
    { type, fields: ['id'], filters, returnOnly: 'active' },
    { priority: 'client' },
  );
  for await (const page of pages) for (const { id } of page.results) ids.add(id);
  return ids;
}

/**
 * Rows of connection types that came and went with a write of a list, of which its reply says nothing (protocol §5.1,
 * §8). The site is asked, since the replica cannot know new ones.
 * @param subjects what was written, with what was made. @returns those that the replica does not have as the site has them.
 * @throws SiteUnavailable
 */
export async function changedConnectionRows(
  replica: Replica,
  requests: readonly (WriteRequest | null)[],
  subjects: readonly EntityRef[],
): Promise<readonly EntityRef[]> {
  const changed = await Promise.all(
    rowsToCompare(replica.schema, requests, subjects).map(async (rows) => {
      const [held, there] = await Promise.all([heldRows(replica, rows), rowsOfSite(replica, rows)]);
      const gone = [...held].filter((id) => !there.has(id));
      const made = [...there].filter((id) => !held.has(id));
      return [...gone, ...made].map((id) => ({ type: rows.type, id }));
    }),
  );
  return changed.flat();
}
