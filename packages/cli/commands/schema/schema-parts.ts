import { readSnapshot, type SchemaSnapshot } from '@understudy/pipeline/followed-schema';
import { readSiteSchema, type SiteSchemaReading } from '@understudy/pipeline/site-schema';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { CachedSchemaError, readCachedSchemaFile } from '@understudy/schema/cached-schema-file';
import type { SchemaChange } from '@understudy/schema/schema-change';
import { isUnprepared } from '@understudy/store/database';
import type { Generation, GenerationState } from '@understudy/store/generations';
import type { CommandParts } from '../../command-line.ts';
import { CommandFailure, EXIT_UNAVAILABLE, EXIT_USAGE } from '../../failure.ts';
import { printLine } from '../../output.ts';

/** What is known of the schema. @throws CommandFailure when no service has prepared a replica of the site yet. */
export async function preparedSnapshot(parts: CommandParts): Promise<SchemaSnapshot> {
  const db = await parts.database();
  const snapshot = await db.snapshot(readSnapshot).catch((error: unknown) => {
    if (isUnprepared(error)) return null;
    throw error;
  });
  if (snapshot === null || snapshot.state === null)
    throw new CommandFailure(
      'no service has prepared a replica here yet: start one, which follows the first generation by itself',
      EXIT_UNAVAILABLE,
    );
  return snapshot;
}

/** @throws CommandFailure naming the place in the file that is wrong. */
export async function declaredIn(file: string): Promise<CachedSchema> {
  try {
    return await readCachedSchemaFile(file);
  } catch (error) {
    if (error instanceof CachedSchemaError) throw new CommandFailure(error.message, EXIT_USAGE);
    throw error;
  }
}

/** What the site has now; the replica's copy is renewed with it. @throws SiteUnavailable */
export async function siteSchemaNow(parts: CommandParts): Promise<SiteSchemaReading> {
  return readSiteSchema(
    { db: await parts.database(), site: parts.site(), siteUrl: parts.config.site.url },
    { priority: 'client', signal: parts.signal },
  );
}

/** The generation in one of some states. @throws CommandFailure when there is none. */
export function generationIn(
  snapshot: SchemaSnapshot,
  states: readonly GenerationState[],
  whatFor: string,
): Generation {
  const found = snapshot.generations.find(({ state }) => states.includes(state));
  if (found !== undefined) return found;
  const there = snapshot.generations.map(({ id, state }) => `${id} is ${state}`).join(', ');
  throw new CommandFailure(`there is no generation ${whatFor}: ${there}`, EXIT_USAGE);
}

const KINDS: Readonly<Record<SchemaChange['kind'], string>> = {
  'type-added': '+',
  'type-dropped': '-',
  'field-added': '+',
  'field-dropped': '-',
  'data-type': '~',
  'allowed-types': '~',
  identifier: '~ name of',
};

/** Prints differences as lines: `+ Shot.sg_notes: text`. */
export function printChanges(changes: readonly SchemaChange[]): void {
  for (const { kind, type, field, detail } of changes)
    printLine(`${KINDS[kind]} ${field === undefined ? type : `${type}.${field}`}: ${detail}`);
}
