import type { Replica } from '@understudy/pipeline/replica';
import { loadReplicaSchema } from '@understudy/store/replica-schema';
import type { CommandParts } from './command-line.ts';
import { CommandFailure, EXIT_UNAVAILABLE, EXIT_USAGE } from './failure.ts';

const NO_TABLE: ReadonlySet<string> = new Set(['42P01', '3F000']);

/**
 * The replica as its services prepared it; nothing is made or changed.
 * @throws CommandFailure when no service has prepared it yet.
 */
export async function preparedReplica(parts: CommandParts): Promise<Replica> {
  const db = await parts.database();
  const schema = await loadReplicaSchema(db.pool, parts.config.site.url).catch((error: unknown) => {
    if (NO_TABLE.has((error as { code?: string }).code ?? '')) return null;
    throw error;
  });
  if (schema === null)
    throw new CommandFailure(
      `no service has prepared a replica of ${parts.config.site.url} here yet`,
      EXIT_UNAVAILABLE,
    );
  return { db, site: parts.site(), schema };
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
