import { readServable, type Servable } from '@understudy/pipeline/servable-schema';
import type { QueryContext } from '@understudy/query/scope';
import type { Logger } from '@understudy/runtime/logging';
import { pause } from '@understudy/runtime/loop';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { type Database, isUnprepared } from '@understudy/store/database';
import { readVersion } from '@understudy/store/generations';
import { hasUnmergedWrites } from '@understudy/store/refresh-requests';
import { readWatermark, type Watermark } from '@understudy/store/watermark';

/** What is known of the replica at one moment. */
export interface ReplicaState {
  readonly watermark: Watermark | null;
  /** How old what it shows may be now; null before the first poll. */
  readonly lagMs: number | null;
  /** What may be answered from it; the same object until that changes. */
  readonly servable: Servable;
  /** Whether a write was answered, by any reader, that is not in the replica yet. */
  readonly hasUnmergedWrites: boolean;
}

/** Watches how fresh the replica is. */
export interface ReplicaWatch {
  /** Null while PostgreSQL is away. */
  current(): ReplicaState | null;
  /** To be called when a query failed for want of PostgreSQL: it counts as away until it answers again. */
  lost(): void;
  run(signal: AbortSignal): Promise<void>;
}

/** Small beside any poll interval, so that what is looked up is as good as asked for each read. */
const LOOK_MS = 250;
/** How long readers take to see that something is in PostgreSQL, and as much again. */
export const ALL_READERS_KNOW_MS = 2 * LOOK_MS;
/** A look that takes longer than this counts as PostgreSQL being away. */
const LOOK_TIMEOUT_MS = 3_000;

const contexts = new WeakMap<CachedSchema, QueryContext>();

/** What compilers of reads need to know; the same object for the same schema, since what is compiled is kept by it. */
export function queryContext({ servable }: ReplicaState): QueryContext {
  const { schema } = servable;
  const known = contexts.get(schema) ?? { schema, servedTypes: new Set(schema.types.keys()) };
  contexts.set(schema, known);
  return known;
}

interface Seen extends ReplicaState {
  readonly at: number;
}

/**
 * Looks at the watermark and at what may be served again and again, so that no read has to.
 * @param pinned id of the generation to serve; 0: the one that is serving.
 */
export function createReplicaWatch(db: Database, pinned: number, log: Logger): ReplicaWatch {
  let seen: Seen | null = null;
  let isLost = true;

  const lookAtServable = async (): Promise<Servable> => {
    const version = await readVersion(db.pool);
    if (seen?.servable.version === version) return seen.servable;
    const servable = await readServable(db, pinned);
    if (servable.generation !== (seen?.servable.generation ?? null))
      log.info(
        { generation: servable.generation, types: servable.typesWanted },
        'another generation is served',
      );
    return servable;
  };

  const look = async (): Promise<void> => {
    const at = performance.now();
    const tooLate = Promise.withResolvers<never>();
    const timer = setTimeout(
      tooLate.reject,
      LOOK_TIMEOUT_MS,
      new Error(`no answer in ${LOOK_TIMEOUT_MS} ms`),
    );
    const looks = Promise.all([readWatermark(db.pool), lookAtServable(), hasUnmergedWrites(db.pool)]);
    const [watermark, servable, unmerged] = await Promise.race([looks, tooLate.promise]).finally(() =>
      clearTimeout(timer),
    );
    if (isLost) log.info('the replica can be read');
    isLost = false;
    seen = { watermark, lagMs: watermark?.lagMs ?? null, servable, hasUnmergedWrites: unmerged, at };
  };

  return {
    current: () => {
      if (isLost || seen === null) return null;
      const ageMs = performance.now() - seen.at;
      if (ageMs > LOOK_TIMEOUT_MS + LOOK_MS) return null;
      // Each by its name: two of these are made for each call, and rest and spread take longer than all else here.
      const { watermark, lagMs, servable, hasUnmergedWrites: unmerged } = seen;
      return {
        watermark,
        lagMs: lagMs === null ? null : lagMs + ageMs,
        servable,
        hasUnmergedWrites: unmerged,
      };
    },
    lost: () => {
      isLost = true;
    },
    run: async (signal) => {
      let wasRead = true;
      while (!signal.aborted) {
        try {
          await look();
          wasRead = true;
        } catch (error) {
          if (wasRead && isUnprepared(error)) log.info('there is no replica yet; requests pass through');
          else if (wasRead) log.warn({ err: error }, 'the replica cannot be read; requests pass through');
          wasRead = false;
          isLost = true;
        }
        await pause(LOOK_MS, signal);
      }
    },
  };
}
