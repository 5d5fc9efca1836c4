import type { EntityRow } from '@understudy/domain/entity';
import type { Priority } from '@understudy/site-client/budget';
import { and, leaf } from '@understudy/site-client/filters';
import type { SiteClient } from '@understudy/site-client/site-client';
import type { Replica } from '../replica.ts';
import { compareRows, type FieldDifference } from './compare-rows.ts';
import { replicaRows } from './replica-rows.ts';

/** One entity on one side; undefined where that side does not have it at all. */
export interface EntityState {
  readonly active: boolean;
  readonly row: EntityRow;
}

/** How one entity differs. */
export interface EntityDifference {
  readonly type: string;
  readonly id: number;
  /** `missing`: only the site has it; `extra`: only the replica has it; `state`: one of them has it retired. */
  readonly kind: 'missing' | 'extra' | 'state' | 'fields';
  /** For `state`: whether the site has it alive. */
  readonly activeOnSite?: boolean;
  readonly fields: Readonly<Record<string, FieldDifference>>;
}

/** Compares one entity's states on both sides. @returns null where they are the same. */
export function differenceOf(
  type: string,
  id: number,
  fields: readonly string[],
  site: EntityState | undefined,
  replica: EntityState | undefined,
): EntityDifference | null {
  if (site === undefined || replica === undefined) {
    if (site === replica) return null;
    return { type, id, kind: site === undefined ? 'extra' : 'missing', fields: {} };
  }
  const different = compareRows(fields, site.row, replica.row);
  if (site.active !== replica.active)
    return { type, id, kind: 'state', activeOnSite: site.active, fields: different };
  return Object.keys(different).length === 0 ? null : { type, id, kind: 'fields', fields: different };
}

/** Some entities of a type as the site has them now, alive or retired. */
export async function siteStates(
  site: SiteClient,
  type: string,
  fields: readonly string[],
  ids: readonly number[],
  priority: Priority,
): Promise<ReadonlyMap<number, EntityState>> {
  const states = new Map<number, EntityState>();
  for (const returnOnly of ['active', 'retired'] as const) {
    const request = { type, fields, filters: and(leaf('id', 'in', ...ids)), returnOnly };
    for await (const page of site.readAllById(request, { priority })) {
      for (const row of page.results) states.set(row.id, { active: returnOnly === 'active', row });
    }
  }
  return states;
}

/** Some entities of a type as a reader would answer them now. */
export async function replicaStates(
  replica: Pick<Replica, 'db' | 'schema'>,
  type: string,
  fields: readonly string[],
  ids: readonly number[],
): Promise<ReadonlyMap<number, EntityState>> {
  const states = new Map<number, EntityState>();
  for (const returnOnly of ['active', 'retired'] as const) {
    const filters = and(leaf('id', 'in', ...ids));
    for await (const row of replicaRows(replica, { type, fields, filters, returnOnly }))
      states.set(row.id, { active: returnOnly === 'active', row });
  }
  return states;
}
