import { refuseOtherSite } from '@understudy/pipeline/other-site';
import { readServable, type Servable } from '@understudy/pipeline/servable-schema';
import type { QueryContext } from '@understudy/query/scope';
import type { Logger } from '@understudy/runtime/logging';
import { pause } from '@understudy/runtime/loop';
import type { CachedSchema } from '@understudy/schema/cached-schema';
import { type ReadFrequencies, readColumnFrequencies } from '@understudy/store/column-frequencies';
import { type Database, isUnprepared } from '@understudy/store/database';
import { readVersion } from '@understudy/store/generations';
import { refuseReadOnly } from '@understudy/store/read-only';
import { hasUnmergedWrites } from '@understudy/store/refresh-requests';
import { readWatermark, type Watermark } from '@understudy/store/watermark';

/** What is known of the replica at one moment. */
export interface ReplicaState {
  readonly watermark: Watermark | null;
  /** How old what it shows may be now; null before the first poll. */
  readonly lagMs: number | null;
  /** What may be answered from it; the same object until that changes. */
  readonly servable: Servable;
  /** How often values occur, by which reads are made fast; the same object until that changes much. */
  readonly frequencies: ReadFrequencies;
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
/** How often it is read how often values occur; PostgreSQL itself estimates it anew when a tenth of a table has changed. */
const FREQUENCIES_MS = 5 * 60_000;
/** A look that takes longer than this counts as PostgreSQL being away. */
const LOOK_TIMEOUT_MS = 3_000;
/** For so long a reader goes by a look, also while the next one waits for PostgreSQL. */
const LOOK_COUNTS_MS = LOOK_TIMEOUT_MS + LOOK_MS;
/** By then every reader has seen what is in PostgreSQL now, or answers nothing from the replica. */
export const ALL_READERS_KNOW_MS = LOOK_COUNTS_MS + LOOK_MS;

const contexts = new WeakMap<CachedSchema, QueryContext>();

/** What compilers of reads need to know; the same object for as long as nothing of it changes. */
export function queryContext({ servable, frequencies }: ReplicaState): QueryContext {
  const { schema } = servable;
  const known = contexts.get(schema);
  if (known?.frequencies === frequencies) return known;
  // What is compiled is kept by the schema and the types.
  const made = { schema, servedTypes: known?.servedTypes ?? new Set(schema.types.keys()), frequencies };
  contexts.set(schema, made);
  return made;
}

interface Seen extends ReplicaState {
  readonly at: number;
  readonly frequenciesAt: number;
}

/**
 * Looks at the watermark and at what may be served again and again, so that no read has to.
 * @param siteUrl whose replica it is to be. @param pinned id of the generation to serve; 0: the one that is serving.
 */
export function createReplicaWatch(db: Database, siteUrl: string, pinned: number, log: Logger): ReplicaWatch {
  let seen: Seen | null = null;
  let isLost = true;

  const lookAtServable = async (): Promise<Servable> => {
    const version = await readVersion(db.pool);
    if (seen?.servable.version === version) return seen.servable;
    const servable = await readServable(db, pinned);
    refuseOtherSite(siteUrl, servable.siteUrl);
    if (servable.generation !== (seen?.servable.generation ?? null))
      log.info(
        { generation: servable.generation, types: servable.typesWanted },
        'another generation is served',
      );
    return servable;
  };

  const lookAtFrequencies = async (): Promise<Pick<Seen, 'frequencies' | 'frequenciesAt'>> => {
    const now = performance.now();
    if (seen !== null && now - seen.frequenciesAt < FREQUENCIES_MS) return seen;
    const known = seen?.frequencies;
    const frequencies = await readColumnFrequencies(db.pool);
    return { frequencies: known?.isLike(frequencies) ? known : frequencies, frequenciesAt: now };
  };

  const look = async (): Promise<void> => {
    const at = performance.now();
    const tooLate = Promise.withResolvers<never>();
    const timer = setTimeout(
      tooLate.reject,
      LOOK_TIMEOUT_MS,
      new Error(`no answer in ${LOOK_TIMEOUT_MS} ms`),
    );
    const looks = Promise.all([
      readWatermark(db.pool),
      lookAtServable(),
      lookAtFrequencies(),
      hasUnmergedWrites(db.pool),
      refuseReadOnly(db.pool),
    ]);
    const [watermark, servable, { frequencies, frequenciesAt }, unmerged] = await Promise.race([
      looks,
      tooLate.promise,
    ]).finally(() => clearTimeout(timer));
    if (isLost) log.info('the replica can be read');
    isLost = false;
    seen = {
      watermark,
      lagMs: watermark?.lagMs ?? null,
      servable,
      frequencies,
      frequenciesAt,
      hasUnmergedWrites: unmerged,
      at,
    };
  };

  return {
    current: () => {
      if (isLost || seen === null) return null;
      const ageMs = performance.now() - seen.at;
      if (ageMs > LOOK_COUNTS_MS) return null;
      // Each by its name: two of these are made for each call, and rest and spread take longer than all else here.
      const { watermark, lagMs, servable, frequencies, hasUnmergedWrites: unmerged } = seen;
      return {
        watermark,
        lagMs: lagMs === null ? null : lagMs + ageMs,
        servable,
        frequencies,
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
