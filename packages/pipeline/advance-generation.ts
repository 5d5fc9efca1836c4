import type { CachedSchema } from '@understudy/schema/cached-schema';
import { unionOf } from '@understudy/schema/combine';
import { fitToSite } from '@understudy/schema/difference';
import type { Database, Queryable } from '@understudy/store/database';
import { type Dropped, dropUnused } from '@understudy/store/drop-columns';
import { type FollowedField, followedFields, ROWS } from '@understudy/store/followed-fields';
import { type Generation, readGenerations, setGenerationState } from '@understudy/store/generations';
import { whileNobodyMerges } from '@understudy/store/schema-epoch';
import { changeFollowed, readSnapshot, type SchemaSnapshot } from './followed-schema.ts';

/** A step of a generation that cannot be done; the message says why, for people. */
export class GenerationError extends Error {
  override readonly name = 'GenerationError';
}

/** Where a generation stands. */
export interface Progress {
  readonly generation: Generation;
  /** Its fields that the site has, and its types, counted as one field each. */
  readonly fields: number;
  readonly served: number;
}

const nameOf = (type: string, field: string): string => `${type}.${field}`;

/** Fields of a schema, with its types' rows, as `Type.field`. */
function storedNames(schema: CachedSchema): readonly string[] {
  return [...schema.types.values()].flatMap((type) => [
    nameOf(type.name, ROWS),
    ...[...type.fields.values()].flatMap((field) => (field.absent ? [] : [nameOf(type.name, field.name)])),
  ]);
}

/** The part of a generation that the site has now. */
export function fittingSchema(snapshot: SchemaSnapshot, generation: Generation): CachedSchema {
  if (snapshot.state === null) return { types: new Map() };
  return fitToSite(generation.schema, snapshot.state.siteSchema).schema;
}

export function progressOf(
  snapshot: SchemaSnapshot,
  followed: readonly FollowedField[],
  generation: Generation,
): Progress {
  const served = new Set(followed.flatMap((one) => (one.isServed ? [nameOf(one.type, one.field)] : [])));
  const names = storedNames(fittingSchema(snapshot, generation));
  return { generation, fields: names.length, served: names.filter((name) => served.has(name)).length };
}

/** What must be scanned: fields followed and not served of generations whose scan was begun, by type. */
export async function unservedFields(db: Database): Promise<ReadonlyMap<string, readonly string[]>> {
  const { snapshot, followed } = await db.snapshot(readAll);
  const wanted = snapshot.generations.filter(({ state }) => state !== 'following' && state !== 'retired');
  const names = new Set(storedNames(unionOf(wanted.map((one) => fittingSchema(snapshot, one)))));
  const unserved = followed.filter((one) => !one.isServed && names.has(nameOf(one.type, one.field)));
  return new Map(
    [...Map.groupBy(unserved, (one) => one.type)].map(([type, ofType]) => [
      type,
      ofType.map((one) => one.field),
    ]),
  );
}

async function readAll(
  tx: Queryable,
): Promise<{ readonly snapshot: SchemaSnapshot; readonly followed: readonly FollowedField[] }> {
  return { snapshot: await readSnapshot(tx), followed: await followedFields(tx) };
}

/** Where each generation stands that is not released, newest first. */
export async function generationProgress(db: Database): Promise<readonly Progress[]> {
  const { snapshot, followed } = await db.snapshot(readAll);
  return snapshot.generations
    .filter((generation) => generation.releasedAt === null)
    .map((generation) => progressOf(snapshot, followed, generation));
}

/** Has a generation's new fields scanned from now on. */
export async function beginRescan(db: Database, id: number): Promise<void> {
  await db.transaction((tx) => setGenerationState(tx, id, ['following'], 'scanning'));
}

/**
 * Has readers serve a generation that is ready; the one served until now is retired. Serves again what was retired and
 * not released.
 * @throws GenerationError
 */
export async function activate(db: Database, id: number, from: Generation['state'] = 'ready'): Promise<void> {
  await db.transaction(async (tx) => {
    // One at a time; readers look at the version.
    await tx.query('update understudy.schema_state set version = version + 1');
    await tx.query(
      `update understudy.generation set state = 'retired', retired_at = now() where state = 'serving' and id <> $1`,
      [id],
    );
    if (!(await setGenerationState(tx, id, [from], 'serving')))
      throw new GenerationError(`generation ${id} is not ${from}`);
  });
}

/**
 * Moves on what goes by itself: a generation whose fields are all served is ready; an automatic one is scanned and
 * served without being told.
 * @returns what was done, for the log.
 */
export async function advanceGenerations(db: Database): Promise<readonly string[]> {
  const done: string[] = [];
  for (const { generation, fields, served } of await generationProgress(db)) {
    const { id, state, isAutomatic } = generation;
    if (state === 'following' && isAutomatic) {
      await beginRescan(db, id);
      done.push(`generation ${id} is scanned`);
    }
    if (state === 'scanning' && served === fields) {
      await db.transaction((tx) => setGenerationState(tx, id, ['scanning'], 'ready'));
      done.push(`generation ${id} is ready`);
    }
    if (state === 'ready' && isAutomatic) {
      await activate(db, id);
      done.push(`generation ${id} is served`);
    }
  }
  return done;
}

/**
 * Goes back: a generation that is on its way is given up, or else the one that was served before is served again. At
 * once: what it keeps was followed all the time.
 * @returns what is served now, and what was given up.
 * @throws GenerationError when there is nothing to go back to.
 */
export async function rollBack(
  db: Database,
): Promise<{ readonly serving: number | null; readonly retired: number }> {
  const { generations } = await db.snapshot(readSnapshot);
  const serving = generations.find(({ state }) => state === 'serving');
  const underWay = generations.find(({ state }) => state !== 'serving' && state !== 'retired');
  if (underWay !== undefined) {
    if (serving === undefined)
      throw new GenerationError(`generation ${underWay.id} is the only one there is`);
    const isRetired = await db.transaction((tx) =>
      setGenerationState(tx, underWay.id, [underWay.state], 'retired'),
    );
    if (!isRetired) return rollBack(db);
    return { serving: serving.id, retired: underWay.id };
  }
  if (serving === undefined) throw new GenerationError('no generation is served');
  const previous = generations
    .filter((one) => one.id < serving.id && one.servingAt !== null && one.releasedAt === null)
    // Not by their ids: one that was given up for an older one is not what was served before this.
    .sort((a, b) => Number(b.servingAt) - Number(a.servingAt))[0];
  if (previous === undefined)
    throw new GenerationError('no earlier generation is kept; apply its schema file instead');
  await activate(db, previous.id, 'retired');
  return { serving: previous.id, retired: serving.id };
}

/**
 * Ends the following of generations that were retired longer ago than a grace time: what only they keep is stored no
 * longer. @returns their ids.
 */
export async function releaseRetired(db: Database, graceMs: number): Promise<readonly number[]> {
  const due = `state = 'retired' and released_at is null
    and retired_at <= now() - make_interval(secs => ${Number(graceMs)} / 1000.0)`;
  const { rowCount } = await db.pool.query(`select from understudy.generation where ${due} limit 1`);
  if (rowCount === 0) return [];
  let ids: readonly number[] = [];
  await changeFollowed(db, async (tx) => {
    const { rows } = await tx.query<{ id: string }>(
      `update understudy.generation set released_at = now() where ${due} returning id`,
    );
    ids = rows.map((row) => Number(row.id));
    return ids.length === 0 ? null : {};
  });
  return ids;
}

/**
 * Drops the columns that only generations released longer ago than `afterMs` used: readers have stopped reading them by
 * then. What somebody's own view or foreign key needs stays, and so does its generation, until it can be dropped.
 * @returns what was dropped and what could not be, as SQL.
 */
export async function dropReleased(db: Database, afterMs: number): Promise<Dropped> {
  const isDue = (one: Generation): boolean =>
    one.releasedAt !== null && one.releasedAt.getTime() <= Date.now() - afterMs;
  if (!(await readGenerations(db.pool)).some(isDue)) return { dropped: [], kept: [] };
  return whileNobodyMerges(db, async (tx) => {
    const generations = await readGenerations(tx);
    const due = generations.filter(isDue);
    const schemas = (some: readonly Generation[]): readonly CachedSchema[] => some.map((one) => one.schema);
    const rest = generations.filter((one) => !due.includes(one));
    const result = await dropUnused(tx, schemas(due), schemas(rest));
    // What stays keeps its name: a field of another data type must not be given the same column.
    if (result.kept.length > 0) return result;
    await tx.query('update understudy.generation set dropped_at = now() where id = any($1::bigint[])', [
      due.map((one) => one.id),
    ]);
    return result;
  });
}
