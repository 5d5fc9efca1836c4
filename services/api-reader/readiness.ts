import { fingerprint } from '@understudy/pipeline/plan-scan';
import type { Replica } from '@understudy/pipeline/replica';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import type { ReplicaState, ReplicaWatch } from './replica-state.ts';

const fingerprints = new WeakMap<CachedSchema, ReadonlyMap<string, string>>();

function fingerprintsOf(schema: CachedSchema): ReadonlyMap<string, string> {
  const known = fingerprints.get(schema);
  if (known !== undefined) return known;
  const made = new Map([...schema.types.values()].map((type) => [type.name, fingerprint(type)]));
  fingerprints.set(schema, made);
  return made;
}

const servable = new WeakMap<ReadonlyMap<string, string>, ReadonlySet<string>>();

/** The types of a schema that were scanned with the very fields they have in it, so that they may be served. */
export function servedTypesOf(schema: CachedSchema, state: ReplicaState): ReadonlySet<string> {
  const known = servable.get(state.served);
  if (known !== undefined) return known;
  const wanted = fingerprintsOf(schema);
  const types = new Set(
    [...state.served].flatMap(([type, print]) => (wanted.get(type) === print ? [type] : [])),
  );
  servable.set(state.served, types);
  return types;
}

/**
 * Says why the reader is not ready, or null. It is ready once every cached type is served, and stays so: without
 * PostgreSQL or the site it still does more for its clients than none would.
 */
export function createReadiness(replica: () => Replica | null, watch: ReplicaWatch): () => string | null {
  let wasReady = false;
  return () => {
    if (wasReady) return null;
    const schema = replica()?.schema;
    const state = watch.current();
    if (schema === undefined) return 'the replica is not prepared';
    if (state === null) return 'PostgreSQL is away';
    if (state.watermark === null) return 'the event log is not followed yet';
    const served = servedTypesOf(schema, state);
    if (served.size < schema.types.size)
      return `the first full scan is under way: ${served.size} of ${schema.types.size} entity types are served`;
    wasReady = true;
    return null;
  };
}
