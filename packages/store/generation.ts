import { createHash } from 'node:crypto';
import { parseCachedSchema } from '@understudy/schema/cached-schema-file';
import type { Queryable } from './database.ts';

/** The generation of the cached schema that the replica follows. */
export interface Generation {
  /** Equal for equal schemas. */
  readonly fingerprint: string;
  /** When it was last found to fit the site. */
  readonly fittedAt: Date;
  /** Entity types in it. */
  readonly types: number;
  /** What of the declared schema the site lacks. */
  readonly differences: number;
}

const FINGERPRINT_LENGTH = 8;

/** @returns null before the replica was first prepared. */
export async function readGeneration(q: Queryable): Promise<Generation | null> {
  const { rows } = await q.query<{ schema: string; fitted_at: Date; differences: number }>(
    'select schema, fitted_at, jsonb_array_length(differences) as differences from understudy.replica_schema',
  );
  const [row] = rows;
  if (row === undefined) return null;
  return {
    fingerprint: createHash('sha256').update(row.schema).digest('hex').slice(0, FINGERPRINT_LENGTH),
    fittedAt: row.fitted_at,
    types: parseCachedSchema(row.schema).types.size,
    differences: row.differences,
  };
}
