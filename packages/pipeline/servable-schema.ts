import type { CachedSchema } from '@understudy/schema/cached-schema';
import { partOf } from '@understudy/schema/combine';
import type { Database } from '@understudy/store/database';
import { followedFields, ROWS } from '@understudy/store/followed-fields';
import type { Generation } from '@understudy/store/generations';
import { fittingSchema } from './advance-generation.ts';
import { readSnapshot, type SchemaSnapshot } from './followed-schema.ts';

/** What a reader may answer from the replica, as it was at one version. */
export interface Servable {
  readonly version: number;
  /** The site that it is a replica of; null before it was first prepared. */
  readonly siteUrl: string | null;
  /** Null before there is one. */
  readonly generation: number | null;
  /** The fields that may be served now: what is not in it passes through. */
  readonly schema: CachedSchema;
  /** Types of the generation that the site has, whether or not they may be served. */
  readonly typesWanted: number;
  /** Whether every field of the generation that the site has may be served. */
  readonly isComplete: boolean;
}

/** The generation that a reader serves: the pinned one, else the one that is serving, else the newest on its way. */
function servedGeneration({ generations }: SchemaSnapshot, pinned: number): Generation | undefined {
  if (pinned > 0) return generations.find(({ id }) => id === pinned);
  return (
    generations.find(({ state }) => state === 'serving') ??
    generations.find(({ state }) => state !== 'retired')
  );
}

/**
 * Reads what may be served of a generation: each field that was scanned since it is followed with the very data type
 * that the generation has.
 * @param pinned the generation's id; 0: the one that is serving.
 */
export async function readServable(db: Database, pinned: number): Promise<Servable> {
  const { snapshot, followed } = await db.snapshot(async (tx) => ({
    snapshot: await readSnapshot(tx),
    followed: await followedFields(tx),
  }));
  const generation = servedGeneration(snapshot, pinned);
  const wanted = generation === undefined ? { types: new Map() } : fittingSchema(snapshot, generation);
  const served = new Map(
    followed.flatMap((one) => (one.isServed ? [[`${one.type}.${one.field}`, one.dataType] as const] : [])),
  );
  const schema = partOf(wanted, {
    type: (name) => served.has(`${name}.${ROWS}`),
    field: (type, field) => served.get(`${type}.${field.name}`) === field.dataType,
  });
  const sizes = (some: CachedSchema): number =>
    [...some.types.values()].reduce((sum, type) => sum + 1 + type.fields.size, 0);
  return {
    version: snapshot.state?.version ?? 0,
    siteUrl: snapshot.state?.siteUrl ?? null,
    generation: generation?.id ?? null,
    schema,
    typesWanted: wanted.types.size,
    isComplete: generation !== undefined && sizes(schema) === sizes(wanted),
  };
}
