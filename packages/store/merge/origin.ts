import type { EntityRef } from '@understudy/domain/entity';

/** Where a change of the replica came from. `load` is a file of entities, `audit` a comparison with the site. */
export const SOURCES = ['event', 'scan', 'write', 'refresh', 'reprocess', 'audit', 'shadow', 'load'] as const;
export type Source = (typeof SOURCES)[number];

/**
 * Handed to every merge: what the data-update log says of the changes it makes. `logged` is false where the log is
 * switched off (configuration key `history.enabled`).
 */
export interface Origin {
  readonly source: Source;
  readonly logged: boolean;
  /** Who made the change on the site, where that is known for all of the merge. */
  readonly user?: EntityRef | null;
  /** From how many rows on, appeared or changed by one fetch, the log tells of them in one entry; usually `BUNDLED`. */
  readonly bundled?: number;
}

/** Fewer are found more easily one by one, more take less room and less time together. */
export const BUNDLED = 32;

/** For merges that nobody asks about: tests, and measurements without the log. */
export const UNLOGGED: Origin = { source: 'refresh', logged: false };
