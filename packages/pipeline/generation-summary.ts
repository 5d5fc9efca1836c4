import { fitToSite } from '@understudy/schema/difference';
import type { Queryable } from '@understudy/store/database';
import { followedFields } from '@understudy/store/followed-fields';
import type { GenerationState } from '@understudy/store/generations';
import { openSiteChanges } from '@understudy/store/site-changes';
import { fittingSchema, progressOf } from './advance-generation.ts';
import { readSnapshot } from './followed-schema.ts';

const SITE_CHANGES_MAX = 50;

/** What there is to show of the cached schema's generations. */
export interface GenerationSummary {
  /** The generation that is served, or the newest on its way where none is yet. */
  readonly id: number;
  readonly state: GenerationState;
  /** When its state began, as far as known. */
  readonly since: Date;
  /** Entity types in it that the site has. */
  readonly types: number;
  /** Its fields, and how many of them may be served; types count as a field each. */
  readonly fields: number;
  readonly served: number;
  /** What of the declared schema does not fit the site now, for people. */
  readonly differences: readonly string[];
  /** Changes of the site's schema that no generation has taken up, of what the generation keeps; for people. */
  readonly siteChanges: readonly string[];
  /** A newer generation that is not served yet. */
  readonly next: {
    readonly id: number;
    readonly state: GenerationState;
    readonly fields: number;
    readonly served: number;
  } | null;
}

/** @returns null before the replica was first prepared. */
export async function readGenerationSummary(q: Queryable): Promise<GenerationSummary | null> {
  const snapshot = await readSnapshot(q);
  const followed = await followedFields(q);
  const live = snapshot.generations.filter(({ state }) => state !== 'retired');
  const shown = live.find(({ state }) => state === 'serving') ?? live[0];
  if (shown === undefined || snapshot.state === null) return null;
  const newer = live.find((one) => one.id > shown.id);
  const { fields, served } = progressOf(snapshot, followed, shown);
  const next = newer === undefined ? null : progressOf(snapshot, followed, newer);
  const { differences } = fitToSite(shown.declared, snapshot.state.siteSchema);
  const misfits = new Set(differences.map((one) => `${one.type}.${one.field}`));
  const open = await openSiteChanges(q, SITE_CHANGES_MAX);
  return {
    id: shown.id,
    state: shown.state,
    since: shown.servingAt ?? shown.createdAt,
    types: fittingSchema(snapshot, shown).types.size,
    fields,
    served,
    differences: differences.map((one) => one.message),
    siteChanges: open.filter((one) => misfits.has(`${one.type}.${one.field}`)).map((one) => one.message),
    next:
      newer === undefined || next === null
        ? null
        : { id: newer.id, state: newer.state, fields: next.fields, served: next.served },
  };
}
