import { type Replica, readReplica } from '@understudy/pipeline/replica';
import { isUnprepared } from '@understudy/store/database';
import { readSchemaState } from '@understudy/store/generations';
import type { CommandParts } from './command-line.ts';
import { CommandFailure, EXIT_UNAVAILABLE, EXIT_USAGE } from './failure.ts';

/**
 * The replica as its services prepared it; nothing is made or changed.
 * @throws CommandFailure when no service has prepared it yet.
 */
export async function preparedReplica(parts: CommandParts): Promise<Replica> {
  const db = await parts.database();
  const state = await readSchemaState(db.pool).catch((error: unknown) => {
    if (isUnprepared(error)) return null;
    throw error;
  });
  if (state?.siteUrl !== parts.config.site.url)
    throw new CommandFailure(
      `no service has prepared a replica of ${parts.config.site.url} here yet`,
      EXIT_UNAVAILABLE,
    );
  return readReplica(db, parts.site());
}

/** The entity types that were asked for, or all that are cached. @throws CommandFailure for one that is not cached. */
export function typesAsked(replica: Replica, asked: readonly string[] | undefined): readonly string[] {
  const cached = [...replica.schema.types.keys()];
  const unknown = (asked ?? []).filter((type) => !cached.includes(type));
  if (unknown.length > 0) {
    throw new CommandFailure(
      `not cached here: ${unknown.join(', ')}. Cached are ${cached.join(', ')}`,
      EXIT_USAGE,
    );
  }
  return asked ?? cached;
}
