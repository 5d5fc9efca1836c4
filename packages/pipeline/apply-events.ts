import { refKey } from '@understudy/domain/entity';
import type { NormalizedEvent } from '@understudy/domain/event';
import { identifierField, isPlainIdentifier } from '@understudy/schema/display-name';
import type { Queryable } from '@understudy/store/database';
import { entityTable } from '@understudy/store/entity-tables';
import { appliedEvents, type StoredEvent, takeUnapplied } from '@understudy/store/event-log';
import { type LinkTarget, upsertLinkTargets } from '@understudy/store/link-targets';
import { mergeChangesOfTypes, type RowChange } from '@understudy/store/merge/changes';
import type { Origin } from '@understudy/store/merge/origin';
import { type RefreshRequest, requestRefresh } from '@understudy/store/refresh-requests';
import { eventTargets, NO_TICK } from './event-targets.ts';
import { normalizeEvent } from './normalize.ts';
import { mayList } from './other-sides.ts';
import { onReplica, originOf, type Replica } from './replica.ts';

/** A request, and the tick of the event that asks for it. */
interface PlannedRefresh extends RefreshRequest {
  readonly heardAt: number;
  /** Whether it is asked for where the type is not kept, too: of those the name is, and whether they are alive. */
  readonly isOfTarget?: boolean;
}

/** What a batch of events comes to. */
interface Plan {
  readonly changes: Map<string, RowChange[]>;
  readonly refreshes: PlannedRefresh[];
  readonly targets: LinkTarget[];
}

/**
 * Applies events in one transaction: those applied already are left out, rows are merged, display names follow, what is
 * in doubt is asked for, and the events are marked applied.
 * @returns types of the entities that must be fetched now, and how many events were not applied before.
 */
export async function applyEvents(
  replica: Replica,
  events: readonly { readonly id: number }[],
): Promise<{ readonly types: ReadonlySet<string>; readonly count: number }> {
  const ids = events.map((event) => event.id);
  return onReplica(replica, (current) => applyOnce(current, ids));
}

function applyOnce(
  replica: Replica,
  ids: readonly number[],
): Promise<{ readonly types: ReadonlySet<string>; readonly count: number }> {
  return replica.db.transaction(async (tx) => {
    return applyStored(tx, replica, takeUnapplied(tx, ids), originOf(replica, 'event'));
  });
}

/**
 * Applies events again that were applied once, with the ticks they had: what the replica has heard since stays. Only
 * entities that were not fetched since such an event may have to be fetched.
 * @param fromId first event id; `toId`, the last one, belongs to it as well.
 * @returns types of the entities that must be fetched now, and how many events there were.
 */
export function replayEvents(
  replica: Replica,
  fromId: number,
  toId: number,
): Promise<{ readonly types: ReadonlySet<string>; readonly count: number }> {
  return onReplica(replica, (current) =>
    current.db.transaction(async (tx) => {
      const events = await appliedEvents(tx, fromId, toId);
      return applyStored(tx, current, [events], originOf(current, 'reprocess'), true);
    }),
  );
}

async function applyStored(
  tx: Queryable,
  replica: Replica,
  slices: AsyncIterable<readonly StoredEvent[]> | Iterable<readonly StoredEvent[]>,
  origin: Origin,
  isReplay = false,
): Promise<{ readonly types: ReadonlySet<string>; readonly count: number }> {
  const { schema } = replica;
  const plan: Plan = { changes: new Map(), refreshes: [], targets: [] };
  // What an event means depends on the schema that is followed now, which may not be the one of whoever stored it.
  let count = 0;
  let last = 0;
  for await (const events of slices) {
    for (const { entry, tick, late } of events) {
      plan.targets.push(...eventTargets(entry, late ? NO_TICK : tick, schema));
      planEvent(replica, normalizeEvent(entry, { tick, late, schema }), plan);
      last = tick;
    }
    count += events.length;
  }
  // Rows before link targets, types in one order: the order of locks is the same for everybody.
  const ofTypes = [...plan.changes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([type, changes]) => {
      const cached = schema.types.get(type);
      return cached === undefined ? [] : [{ table: entityTable(cached), changes }];
    });
  const merged = await mergeChangesOfTypes(tx, ofTypes, origin);
  // Entities whose rows are there; what fetched the row recorded its name as well.
  const there = new Set<string>();
  for (const [at, { table }] of ofTypes.entries()) {
    const { type } = table;
    const { doubtful = [], missing = [] } = merged[at] ?? {};
    for (const { id } of ofTypes[at]?.changes ?? []) there.add(refKey({ type, id }));
    for (const id of missing) there.delete(refKey({ type, id }));
    for (const id of doubtful) plan.refreshes.push({ type, id, reason: 'in doubt', heardAt: last });
    for (const id of missing) plan.refreshes.push({ type, id, reason: 'missing', heardAt: last });
  }
  for (const { targets } of merged) plan.targets.push(...targets);
  await upsertLinkTargets(
    tx,
    plan.targets.filter((target) => target.tick !== NO_TICK || !there.has(refKey(target))),
  );
  const kept = plan.refreshes.filter(({ type, isOfTarget }) => isOfTarget === true || schema.types.has(type));
  const wanted = isReplay ? await notFetchedSince(tx, replica, kept) : kept;
  await requestRefresh(tx, wanted);
  return { types: new Set(wanted.map((request) => request.type)), count };
}

/** Those of the requests whose entity was not fetched after the event that asks for it. */
async function notFetchedSince(
  tx: Queryable,
  replica: Replica,
  requests: readonly PlannedRefresh[],
): Promise<readonly PlannedRefresh[]> {
  const open: PlannedRefresh[] = [];
  for (const [type, ofType] of Map.groupBy(requests, (request) => request.type)) {
    const cached = replica.schema.types.get(type);
    if (cached === undefined) continue;
    const { rows } = await tx.query<{ id: string; tick: string }>(
      `select id, _fetched_tick as tick from ${entityTable(cached).sqlName} where id = any($1::bigint[])`,
      [ofType.map(({ id }) => id)],
    );
    const ticks = new Map(rows.map((row) => [Number(row.id), Number(row.tick)]));
    open.push(...ofType.filter(({ id, heardAt }) => (ticks.get(id) ?? 0) < heardAt));
  }
  return open;
}

function planEvent(replica: Replica, event: NormalizedEvent, plan: Plan): void {
  const { change, tick } = event;
  const { schema } = replica;
  // An event names what it links to as it was called then; of entities that are kept, rows know better.
  const tickOf = (linked: string): number => (schema.types.has(linked) ? NO_TICK : tick);
  planTouched(replica, event, plan);
  if (change.kind === 'ignore' || change.kind === 'schema') return;
  const { type, id } = change.target;
  const siteTime = new Date(event.createdAt);
  const isKept = schema.types.has(type);
  const add = (rowChange: RowChange['change'], target?: LinkTarget): void => {
    const ofType = plan.changes.get(type) ?? [];
    plan.changes.set(type, ofType);
    const told = target === undefined ? {} : { target };
    ofType.push({ id, tick, siteTime, change: rowChange, eventId: event.id, user: event.user, ...told });
    // There is no row that would know better.
    if (target !== undefined && !isKept) plan.targets.push(target);
  };
  const refresh = (reason: string, linkers = false, isOfTarget = linkers): void => {
    plan.refreshes.push({ type, id, reason, linkers, heardAt: tick, isOfTarget });
  };
  if (change.kind === 'revive') refresh('revived', true);
  const isOfLife = change.kind === 'retire' || change.kind === 'revive';
  // What is true now only the site can say: later ones may have been heard before.
  if (event.late) {
    refresh('came late', false, isOfLife);
    return;
  }
  switch (change.kind) {
    case 'new':
      refresh('new');
      break;
    case 'refresh':
      refresh(change.reason);
      break;
    case 'retire':
    case 'revive':
      add(
        { kind: 'active', value: change.kind === 'revive' },
        { type, id, active: change.kind === 'revive', tick },
      );
      planUpdated(replica, event, type, add);
      break;
    case 'links':
      add({ kind: 'links', field: change.field, added: change.added, removed: change.removed });
      // Not that they are alive: one that was retired meanwhile, or before, may be linked to.
      for (const { type: linked, id: linkedId, name } of change.added) {
        const ref = { type: linked, id: linkedId };
        plan.targets.push({ ...ref, tick: tickOf(linked), ...(name === null ? {} : { name }) });
      }
      // Whether it moved updated_at is not said.
      if (change.isOtherSide) refresh('linked');
      else planUpdated(replica, event, type, add);
      break;
    case 'set': {
      add({ kind: 'set', field: change.field, value: change.value }, nameTold(replica, event, change.field));
      const link = change.value as { type?: unknown; id?: unknown; name?: unknown } | null;
      if (typeof link === 'object' && typeof link?.type === 'string' && typeof link.id === 'number') {
        const named = typeof link.name === 'string' ? { name: link.name } : {};
        plan.targets.push({ type: link.type, id: link.id, tick: tickOf(link.type), ...named });
      }
      planName(replica, event, change.field, add, refresh);
      planUpdated(replica, event, type, add);
    }
  }
}

/** The display name that a change of a field gives its entity, wherever it is linked; undefined where it gives none. */
function nameTold(
  replica: Replica,
  { change, tick }: NormalizedEvent,
  field: string,
): (LinkTarget & { readonly name: string | null }) | undefined {
  if (change.kind !== 'set') return undefined;
  const { type, id } = change.target;
  if (!isPlainIdentifier(type) || field !== identifierField(type, replica.schema)) return undefined;
  const { value } = change;
  return typeof value === 'string' || value === null ? { type, id, name: value, tick } : undefined;
}

/** A change of what a display name is made of changes the name as well. */
function planName(
  replica: Replica,
  event: NormalizedEvent,
  field: string,
  add: (rowChange: RowChange['change']) => void,
  refresh: (reason: string) => void,
): void {
  const { change } = event;
  if (change.kind !== 'set') return;
  const { type } = change.target;
  const cached = replica.schema.types.get(type);
  if (cached === undefined) return;
  if (!isPlainIdentifier(type)) {
    refresh('its name is computed');
    return;
  }
  if (field !== identifierField(type, replica.schema)) return;
  const told = nameTold(replica, event, field);
  if (told === undefined) refresh('its name is made of something else than text');
  else if (cached.fields.has('cached_display_name'))
    add({ kind: 'set', field: 'cached_display_name', value: told.name });
}

/** The site moves updated_at and updated_by without telling (protocol §6.4). */
function planUpdated(
  replica: Replica,
  event: NormalizedEvent,
  type: string,
  add: (rowChange: RowChange['change']) => void,
): void {
  const fields = replica.schema.types.get(type)?.fields;
  if (fields?.has('updated_at')) add({ kind: 'latest', field: 'updated_at', value: event.createdAt });
  if (event.user !== null && fields?.has('updated_by')) {
    add({ kind: 'set', field: 'updated_by', value: { type: event.user.type, id: event.user.id } });
  }
}

/** The other side of a link changed with it where its type has a list that may hold this one (protocol §6.3, §6.4). */
function planTouched(replica: Replica, event: NormalizedEvent, plan: Plan): void {
  const { change } = event;
  if (change.kind === 'ignore' || change.kind === 'schema') return;
  for (const { type, id } of event.touched) {
    if (mayList(replica.schema, type, change.target.type))
      plan.refreshes.push({ type, id, reason: 'linked', heardAt: event.tick });
  }
}
