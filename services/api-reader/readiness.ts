import type { Replica } from '@understudy/pipeline/replica';
import type { ReplicaWatch } from './replica-state.ts';

/**
 * Says why the reader is not ready, or null. It is ready once every field of its generation is served, and stays so:
 * without PostgreSQL or the site it still does more for its clients than none would.
 */
export function createReadiness(replica: () => Replica | null, watch: ReplicaWatch): () => string | null {
  let wasReady = false;
  return () => {
    if (wasReady) return null;
    if (replica() === null) return 'the replica is not prepared';
    const state = watch.current();
    if (state === null) return 'PostgreSQL is away';
    if (state.watermark === null) return 'the event log is not followed yet';
    const { generation, schema, typesWanted, isComplete } = state.servable;
    if (generation === null) return 'there is no generation of the schema yet';
    if (!isComplete)
      return `the scan of generation ${generation} is under way: ${schema.types.size} of ${typesWanted} entity types are served`;
    wasReady = true;
    return null;
  };
}
