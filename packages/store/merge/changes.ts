import { type EntityRef, type Json, refKey } from '@understudy/domain/entity';
import type { Queryable } from '../database.ts';
import type { EntityTable } from '../entity-tables.ts';
import type { LinkTarget } from '../link-targets.ts';
import { scalarFields } from './columns.ts';
import { isSame, judge, type Verdict } from './judge.ts';
import { type KnownLinks, readKnownLinks } from './known-links.ts';
import { type KnownRow, lockRows } from './known-rows.ts';
import type { Origin } from './origin.ts';
import { type DataUpdate, logUpdates } from './update-log.ts';
import { type RowWrite, writeFields } from './write-fields.ts';
import { type LinkWrite, writeLinks } from './write-links.ts';

/** One change of one row, told by an event or a write. */
export interface RowChange {
  readonly id: number;
  readonly tick: number;
  /** By the site's clock, when it happened; null for a write's answer, which is certain. */
  readonly siteTime: Date | null;
  readonly change:
    | { readonly kind: 'set'; readonly field: string; readonly value: Json }
    | {
        readonly kind: 'links';
        readonly field: string;
        readonly added: readonly EntityRef[];
        readonly removed: readonly EntityRef[];
      }
    | { readonly kind: 'active'; readonly value: boolean }
    /** Never in doubt: the later of the two moments stays. */
    | { readonly kind: 'latest'; readonly field: string; readonly value: string };
  /** The event that tells of it, and whose change it was: for the data-update log. */
  readonly eventId?: number | null;
  readonly user?: EntityRef | null;
  /** What it tells those that link to the row, as far as it is believed. */
  readonly target?: LinkTarget;
}

export interface MergedChanges {
  /** Rows whose state is in doubt: they must be fetched. */
  readonly doubtful: readonly number[];
  /** Rows that the replica does not have: they must be fetched. */
  readonly missing: readonly number[];
  /** What those that link to the rows are to be told: of changes that were applied, and of those that nothing speaks against. */
  readonly targets: readonly LinkTarget[];
}

const ACTIVE = '_active';

/** Changes of rows of one type. */
export interface TypeChanges {
  readonly table: EntityTable;
  readonly changes: readonly RowChange[];
}

/**
 * Merges changes into rows (design: one merge): a change sets a field if its tick is later than the field's stamp and the
 * row's fetch; what may already be contained in the row and differs is in doubt. Rows are locked in the order of the types
 * given and of ids, judged, and written in one statement a type for their fields and two for each list; any order,
 * repetition or concurrency of batches gives one result. Each change that is applied and says something new is logged,
 * also where a later one of the batch goes over it.
 *
 * Statements are sent without waiting for those before them, so that PostgreSQL works on the rows of one type while
 * those of the next are judged.
 * @returns what became of each type, in the order given.
 */
export async function mergeChangesOfTypes(
  tx: Queryable,
  ofTypes: readonly TypeChanges[],
  origin: Origin,
): Promise<readonly MergedChanges[]> {
  // Whoever awaits them hears of a failure; until then it must not count as one that nobody hears.
  const later = <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => {});
    return promise;
  };
  const reading = ofTypes.map((ofType) => ({ ...ofType, known: later(readKnown(tx, ofType)) }));
  const writing: Promise<void>[] = [];
  const write = (written: Promise<void>): void => {
    writing.push(later(written));
  };
  const merged: MergedChanges[] = [];
  for (const { table, changes, known } of reading) {
    const { rows, links } = await known;
    const updates: DataUpdate[] = [];
    const merging = new Merging(table, origin, updates);
    merged.push(merging.mergeAll(changes, rows, links));
    write(writeFields(tx, table, merging.fieldWrites, rows));
    for (const [field, writes] of merging.linkWrites) {
      const storage = table.fields.get(field);
      if (storage?.kind === 'links') write(writeLinks(tx, storage.table, [...writes.values()]));
    }
    write(logUpdates(tx, updates));
  }
  await Promise.all(writing);
  return merged;
}

/** What the replica has of the rows that changes are about. */
interface Known {
  readonly rows: ReadonlyMap<number, KnownRow>;
  readonly links: KnownLinks;
}

const NOTHING_KNOWN: Known = { rows: new Map(), links: new Map() };

async function readKnown(tx: Queryable, { table, changes }: TypeChanges): Promise<Known> {
  const ids = [...new Set(changes.map((change) => change.id))].sort((a, b) => a - b);
  if (ids.length === 0) return NOTHING_KNOWN;
  const fields = new Set<string>();
  const lists = new Set<string>();
  const linked = new Set<number>();
  for (const { id, change } of changes) {
    if (change.kind === 'links') {
      lists.add(change.field);
      linked.add(id);
    } else fields.add(change.kind === 'active' ? ACTIVE : change.field);
  }
  const [rows, links] = await Promise.all([
    lockRows(tx, table, ids, fields),
    readKnownLinks(tx, table, [...lists], [...linked]),
  ]);
  return { rows, links };
}

/** What a batch of changes comes to, judged one after the other. */
class Merging {
  readonly fieldWrites = new Map<number, RowWrite>();
  readonly linkWrites = new Map<string, Map<string, LinkWrite>>();
  readonly #table: EntityTable;
  readonly #origin: Origin;
  readonly #updates: DataUpdate[];

  /** @param updates takes what the data-update log is to say. */
  constructor(table: EntityTable, origin: Origin, updates: DataUpdate[]) {
    this.#table = table;
    this.#origin = origin;
    this.#updates = updates;
  }

  mergeAll(
    changes: readonly RowChange[],
    rows: ReadonlyMap<number, KnownRow>,
    links: KnownLinks,
  ): MergedChanges {
    const doubtful = new Set<number>();
    const missing = new Set<number>();
    const targets: LinkTarget[] = [];
    for (const change of [...changes].sort((a, b) => a.tick - b.tick)) {
      const row = rows.get(change.id);
      if (row === undefined) {
        missing.add(change.id);
        if (change.target !== undefined) targets.push(change.target);
        continue;
      }
      const { change: told } = change;
      const verdict =
        told.kind === 'links'
          ? this.mergeLinks(row, change, told, links.get(told.field)?.get(change.id))
          : this.mergeField(row, change, told);
      if (verdict === 'doubt') doubtful.add(change.id);
      if (verdict === 'apply' && change.target !== undefined) targets.push(change.target);
    }
    return { doubtful: [...doubtful], missing: [...missing], targets };
  }

  /** @returns what became of it; a field that is not kept says nothing against it. */
  mergeField(
    row: KnownRow,
    change: RowChange,
    told: Exclude<RowChange['change'], { kind: 'links' }>,
  ): Verdict {
    const name = told.kind === 'active' ? ACTIVE : told.field;
    const field = scalarFields(this.#table).get(name);
    if (field === undefined) return 'apply';
    const value = told.kind === 'set' ? field.canonical(told.value) : told.value;
    let writes = this.fieldWrites.get(change.id);
    const set = writes?.get(name);
    const known = {
      value: set === undefined ? (row.values.get(name) ?? null) : set.value,
      stamp: set === undefined ? (row.stamps[name] ?? 0) : set.tick,
      fetchedTick: row.fetchedTick,
      siteTime: row.siteTime,
    };
    const { tick, siteTime } = change;
    const verdict = judge(known, { value, tick, siteTime, latest: told.kind === 'latest' });
    if (verdict !== 'apply') return verdict;
    if (writes === undefined) {
      writes = new Map();
      this.fieldWrites.set(change.id, writes);
    }
    writes.set(name, { value, tick: Math.max(tick, known.stamp) });
    if (!isSame(known.value, value)) this.#log(change, name, known.value, value);
    return verdict;
  }

  /** A link of a list is a value of its own: there, or not. @returns `doubt` where the row is in doubt. */
  mergeLinks(
    row: KnownRow,
    change: RowChange,
    told: Extract<RowChange['change'], { kind: 'links' }>,
    knownLinks: ReadonlyMap<string, { readonly removed: boolean; readonly stamp: number }> | undefined,
  ): Verdict {
    if (this.#table.fields.get(told.field)?.kind !== 'links') return 'apply';
    let isCertain = true;
    let ofField = this.linkWrites.get(told.field);
    // A fetch of some fields only has told of the whole list.
    const listStamp = row.stamps[told.field] ?? 0;
    for (const value of [false, true]) {
      for (const target of value ? told.added : told.removed) {
        const key = refKey(target);
        const write = ofField?.get(`${change.id}|${key}`);
        const link = knownLinks?.get(key);
        const known = {
          value: write === undefined ? link !== undefined && !link.removed : write.state === 'there',
          stamp: write === undefined ? Math.max(link?.stamp ?? 0, listStamp) : (write.tick ?? 0),
          fetchedTick: row.fetchedTick,
          siteTime: row.siteTime,
        };
        const { tick, siteTime } = change;
        const verdict = judge(known, { value, tick, siteTime, latest: false });
        if (verdict === 'doubt') isCertain = false;
        if (verdict !== 'apply') continue;
        if (ofField === undefined) {
          ofField = new Map();
          this.linkWrites.set(told.field, ofField);
        }
        ofField.set(`${change.id}|${key}`, {
          id: change.id,
          target,
          state: value ? 'there' : 'removed',
          tick,
          isKnown: link !== undefined,
        });
        const ref = { type: target.type, id: target.id };
        if (known.value !== value) this.#log(change, told.field, value ? null : ref, value ? ref : null);
      }
    }
    return isCertain ? 'apply' : 'doubt';
  }

  #log({ id, tick, eventId = null, user = null }: RowChange, field: string, before: Json, after: Json): void {
    const { logged, source } = this.#origin;
    if (!logged) return;
    this.#updates.push({
      type: this.#table.type,
      id,
      field,
      old: before,
      new: after,
      tick,
      source,
      eventId,
      user,
    });
  }
}
