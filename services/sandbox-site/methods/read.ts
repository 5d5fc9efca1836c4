import type { Json } from '@understudy/domain/entity';
import { predicate } from '../filters/evaluate.ts';
import { rowOf, sortKey } from '../rows.ts';
import type { Entity, SiteData } from '../site-data.ts';
import { badRequest } from '../site-fault.ts';

const collator = new Intl.Collator('en-US');

/** @returns the payload as an object with a known entity type. @throws SandboxFault 103 */
export function typedPayload(
  data: SiteData,
  method: string,
  payload: unknown,
): Readonly<Record<string, Json>> & { type: string } {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw badRequest(`API ${method}() invalid/missing payload`);
  }
  const type = (payload as Record<string, unknown>)['type'];
  if (typeof type !== 'string')
    throw badRequest(`API ${method}() invalid/missing string 'type':\n${JSON.stringify(payload)}`);
  if (!data.schema.has(type))
    throw badRequest(`API ${method}() invalid/missing string entity 'type': ${type}`);
  return payload as Readonly<Record<string, Json>> & { type: string };
}

/** Entities that a read or summarize is about: alive or retired, filtered, archived projects left out if asked. */
export function matching(
  data: SiteData,
  payload: Readonly<Record<string, Json>> & { type: string },
  now: Date,
): Entity[] {
  const wanted = payload['return_only'] === 'retired';
  const test = predicate(
    data,
    payload.type,
    payload['filters'] ?? { logical_operator: 'and', conditions: [] },
    now,
  );
  const hideArchived = payload['include_archived_projects'] === false;
  const found: Entity[] = [];
  for (const entity of data.all(payload.type)) {
    if (entity.retired !== wanted || !test(entity)) continue;
    if (hideArchived && isInArchivedProject(data, entity)) continue;
    found.push(entity);
  }
  return found;
}

function isInArchivedProject(data: SiteData, entity: Entity): boolean {
  const project = data.field(entity.type, 'project') === undefined ? null : data.value(entity, 'project');
  if (project === null) return false;
  return data.find(project as { type: string; id: number })?.values.get('archived') === true;
}

function compareValues(a: Json, b: Json): number {
  if (typeof a === 'string' && typeof b === 'string') return collator.compare(a, b);
  return Number(a) - Number(b);
}

/** Sorts as protocol §3.4 says: unknown sorts ignored, nulls last ascending and first descending, id breaks ties. */
function sorted(data: SiteData, type: string, entities: Entity[], sorts: Json): Entity[] {
  const keys = (Array.isArray(sorts) ? sorts : []).flatMap((sort) => {
    const { field_name: name, direction } = sort as { field_name?: string; direction?: string };
    const key = typeof name === 'string' ? sortKey(data, type, name) : undefined;
    return key === undefined ? [] : [{ key, sign: direction === 'desc' ? -1 : 1 }];
  });
  return entities.sort((a, b) => {
    for (const { key, sign } of keys) {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) {
        if (x === y) continue;
        return (x === null ? 1 : -1) * sign;
      }
      const order = compareValues(x, y) * sign;
      if (order !== 0) return order;
    }
    return a.id - b.id;
  });
}

/** `read` (protocol §3). */
export function read(data: SiteData, rawPayload: unknown, now: Date): Json {
  const payload = typedPayload(data, 'read', rawPayload);
  const paging = (payload['paging'] ?? {}) as { entities_per_page?: unknown; current_page?: unknown };
  const { entities_per_page: size, current_page: page } = paging;
  if (!Number.isSafeInteger(size) || (size as number) < 1) {
    throw badRequest(
      `API read() invalid/missing integer 'paging' 'entities_per_page':\n${JSON.stringify(payload)}`,
    );
  }
  if (!Number.isSafeInteger(page) || (page as number) < 1) {
    throw badRequest(
      `API read() invalid/missing integer 'paging' 'current_page':\n${JSON.stringify(payload)}`,
    );
  }
  const returnOnly = payload['return_only'] ?? 'active';
  if (returnOnly !== 'active' && returnOnly !== 'retired') {
    throw badRequest(`API read() invalid 'return_only': ${JSON.stringify(returnOnly)}`);
  }
  const fields = payload['return_fields'] ?? ['id'];
  if (!Array.isArray(fields) || !fields.every((field) => typeof field === 'string')) {
    throw badRequest("API read() invalid/missing array 'return_fields'");
  }
  if (payload['additional_filter_presets'] !== undefined) {
    throw badRequest('API read() additional_filter_presets: unknown preset');
  }
  const found = sorted(data, payload.type, matching(data, payload, now), payload['sorts'] ?? null);
  const [perPage, current] = [size as number, page as number];
  const entities = found
    .slice((current - 1) * perPage, current * perPage)
    .map((entity) => rowOf(data, entity, fields as string[]));
  return {
    entities,
    paging_info: {
      current_page: found.length === 0 ? 0 : current,
      page_count: Math.ceil(found.length / perPage),
      entity_count: found.length,
      entities_per_page: perPage,
      has_next_page: current * perPage < found.length,
    },
  };
}
