import type { Json } from '@understudy/domain/entity';
import { candidates } from '../candidates.ts';
import type { Entity } from '../entity-table.ts';
import { predicate } from '../filters/evaluate.ts';
import { presetPredicates } from '../filters/presets.ts';
import { rowOf, sortKey } from '../rows.ts';
import { badRequest } from '../site-fault.ts';
import type { SiteView } from '../site-view.ts';

const collator = new Intl.Collator('en-US');
const EVERYTHING: Json = { logical_operator: 'and', conditions: [] };

export type TypedPayload = Readonly<Record<string, Json>> & { readonly type: string };

/** @returns the payload as an object with a known entity type. @throws SandboxFault 103 */
export function typedPayload(view: SiteView, payload: unknown): TypedPayload {
  const { method } = view;
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw badRequest(`API ${method}() invalid/missing payload`);
  }
  const type = (payload as Record<string, unknown>)['type'];
  if (typeof type !== 'string')
    throw badRequest(`API ${method}() invalid/missing string 'type':\n${JSON.stringify(payload)}`);
  if (view.type(type) === undefined)
    throw badRequest(`API ${method}() invalid/missing string entity 'type': ${type}`);
  return payload as TypedPayload;
}

/**
 * Entities that a read or summarize is about, in id order: alive or retired, filtered, archived projects left out if
 * asked.
 */
export function* matching(view: SiteView, payload: TypedPayload, descending = false): Iterable<Entity> {
  const wanted = payload['return_only'] === 'retired';
  const filter = payload['filters'] ?? EVERYTHING;
  const tests = [
    predicate(view, payload.type, filter),
    ...presetPredicates(view, payload.type, payload['additional_filter_presets']),
  ];
  const hideArchived = payload['include_archived_projects'] === false;
  for (const entity of candidates(view, payload.type, filter, descending)) {
    if (entity.retired !== wanted || !view.sees(entity) || !tests.every((test) => test(entity))) continue;
    if (hideArchived && isInArchivedProject(view, entity)) continue;
    yield entity;
  }
}

function isInArchivedProject(view: SiteView, entity: Entity): boolean {
  const field = view.field(entity.type, 'project');
  const project = field === undefined ? null : view.data.link(entity.stored('project'));
  return project !== null && view.data.find(project)?.stored('archived') === true;
}

export function compareValues(a: Json, b: Json): number {
  // Text that the collation takes for equal is told apart by its bytes, as a database does.
  if (typeof a === 'string' && typeof b === 'string')
    return collator.compare(a, b) || Buffer.compare(Buffer.from(a), Buffer.from(b));
  return Number(a) - Number(b);
}

interface SortKey {
  readonly field: string;
  readonly key: (entity: Entity) => Json;
  readonly sign: 1 | -1;
}

/** Sorts on what is unknown or cannot be sorted are ignored (protocol §3.4). */
function sortKeys(view: SiteView, type: string, sorts: Json | undefined): readonly SortKey[] {
  return (Array.isArray(sorts) ? sorts : []).flatMap((sort) => {
    if (typeof sort !== 'object' || sort === null)
      throw badRequest(`API ${view.method}() invalid array 'sorts': ${JSON.stringify(sorts)}`);
    const { field_name: field, direction } = sort as { field_name?: string; direction?: string };
    const key = typeof field === 'string' ? sortKey(view, type, field) : undefined;
    if (key === undefined || typeof field !== 'string') return [];
    return [{ field, key, sign: direction === 'desc' ? -1 : 1 } as const];
  });
}

/** Nulls come last ascending and first descending, the id breaks ties (protocol §3.4). */
function sorted(entities: Iterable<Entity>, keys: readonly SortKey[]): Entity[] {
  const decorated = [...entities].map((entity) => ({ entity, values: keys.map(({ key }) => key(entity)) }));
  decorated.sort((a, b) => {
    for (const [index, { sign }] of keys.entries()) {
      const [x = null, y = null] = [a.values[index], b.values[index]];
      if (x === null || y === null) {
        if (x === y) continue;
        return (x === null ? 1 : -1) * sign;
      }
      const order = compareValues(x, y) * sign;
      if (order !== 0) return order;
    }
    return a.entity.id - b.entity.id;
  });
  return decorated.map(({ entity }) => entity);
}

interface Page {
  readonly size: number;
  readonly current: number;
}

/** More rows a page than the site gives; the real bound is not known (protocol §9). */
const PAGE_SIZE_MAX = 5_000;

function pageOf(view: SiteView, payload: TypedPayload): Page {
  const paging = (payload['paging'] ?? {}) as { entities_per_page?: unknown; current_page?: unknown };
  const { entities_per_page: size, current_page: current } = paging;
  const asked = JSON.stringify(payload);
  if (!Number.isSafeInteger(size) || (size as number) < 1 || (size as number) > PAGE_SIZE_MAX) {
    throw badRequest(`API ${view.method}() invalid/missing integer 'paging' 'entities_per_page':\n${asked}`);
  }
  if (!Number.isSafeInteger(current) || (current as number) < 1) {
    throw badRequest(`API ${view.method}() invalid/missing integer 'paging' 'current_page':\n${asked}`);
  }
  return { size: size as number, current: current as number };
}

/** Takes the rows of a page, and walks no further than it must to know whether there are more. */
function takePage(
  entities: Iterable<Entity>,
  { size, current }: Page,
  countAll: boolean,
): { readonly rows: Entity[]; readonly seen: number } {
  const rows: Entity[] = [];
  let seen = 0;
  for (const entity of entities) {
    seen += 1;
    if (seen > (current - 1) * size && seen <= current * size) rows.push(entity);
    if (!countAll && seen > current * size) break;
  }
  return { rows, seen };
}

/** `read` (protocol §3). */
export function read(view: SiteView, rawPayload: unknown): Json {
  const payload = typedPayload(view, rawPayload);
  const page = pageOf(view, payload);
  const returnOnly = payload['return_only'] ?? 'active';
  if (returnOnly !== 'active' && returnOnly !== 'retired') {
    throw badRequest(`API read() invalid 'return_only': ${JSON.stringify(returnOnly)}`);
  }
  const fields = payload['return_fields'] ?? ['id'];
  if (!Array.isArray(fields) || !fields.every((field) => typeof field === 'string')) {
    throw badRequest("API read() invalid/missing array 'return_fields'");
  }
  const withCounts = payload['return_paging_info'] === true;
  const keys = sortKeys(view, payload.type, payload['sorts']);
  const [first] = keys;
  // In id order the walk can end with the page.
  const byId = first === undefined || first.field === 'id';
  const found = byId ? matching(view, payload, first?.sign === -1) : sorted(matching(view, payload), keys);
  const { rows, seen } = takePage(found, page, withCounts);
  return {
    entities: rows.map((entity) => rowOf(view, entity, fields as string[])),
    paging_info: withCounts
      ? {
          current_page: seen === 0 ? 0 : page.current,
          page_count: Math.ceil(seen / page.size),
          entity_count: seen,
          entities_per_page: page.size,
        }
      : {
          current_page: page.current,
          entities_per_page: page.size,
          has_next_page: seen > page.current * page.size,
        },
  };
}
